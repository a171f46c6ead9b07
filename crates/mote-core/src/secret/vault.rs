//! The secrets of all namespaces, sealed in the catalog.
//!
//! A value goes in, and comes out to an engine alone ([`Secrets`]): no verb reads one back. Which
//! functions use a secret, and that they get a new value, is [`crate::platform`]'s matter.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::cipher::Cipher;
use super::{Secret, SecretInfo, Secrets};
use crate::BoxFuture;
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::store::{Catalog, Record, Revision, Write};

/// Secrets of one namespace.
pub const SECRETS_MAX: usize = 1000;

const PREFIX: &str = "secrets/";
/// A value that everybody knows, sealed: tells at a start whether the key is the right one.
const CHECK_KEY: &str = "vault/check";
const CHECK: &[u8] = b"mote";

/// See the module's text.
pub struct Vault {
    catalog: Arc<dyn Catalog>,
    cipher: Arc<Cipher>,
    clock: Arc<dyn Clock>,
    /// One change at a time: counted against the limit, and generations in order.
    turn: tokio::sync::Mutex<()>,
}

/// As it is stored. Its key holds namespace and name; the seal holds to both and the generation.
#[derive(Serialize, Deserialize)]
struct Sealed {
    generation: u64,
    changed: Timestamp,
    /// Base64 of what [`Cipher::seal`] made.
    value: String,
}

impl Vault {
    /// Refuses a key that is not the one its values were sealed with.
    pub async fn open(catalog: Arc<dyn Catalog>, cipher: Arc<Cipher>, clock: Arc<dyn Clock>) -> Result<Vault> {
        match catalog.get(CHECK_KEY).await? {
            Some(record) if cipher.open(CHECK_KEY, &record.value).is_some_and(|value| value.reveal() == CHECK) => {}
            Some(_) => {
                return Err(Error::new(Code::CredentialInvalid, "the key is not the one that the stored secrets were sealed with")
                    .hint("Put the right `secret.key` back into the data directory; without it the secrets are lost."));
            }
            None => {
                let value = cipher.seal(CHECK_KEY, CHECK)?.into();
                catalog.commit(vec![Write::Put { key: CHECK_KEY.to_owned(), expect: 0, value }]).await?;
            }
        }
        Ok(Vault { catalog, cipher, clock, turn: Default::default() })
    }

    /// Whether something has been sealed already, so that a new key would be a wrong one.
    pub async fn is_begun(catalog: &dyn Catalog) -> Result<bool> {
        Ok(catalog.get(CHECK_KEY).await?.is_some())
    }

    pub async fn set(&self, namespace: &Name, name: &Name, value: &Secret) -> Result<SecretInfo> {
        let length = value.reveal().len();
        if length > Secret::BYTES_MAX {
            let detail = format!("the secret has {length} bytes, more than the limit of {}", Secret::BYTES_MAX);
            return Err(Error::new(Code::BodyTooLarge, detail).hint("Keep what is large in a bucket, and its key here."));
        }
        let _turn = self.turn.lock().await;
        let (expect, generation) = match self.find(namespace, name).await? {
            Some((revision, stored)) => (revision, stored.generation.saturating_add(1)),
            None => {
                self.bounded(namespace).await?;
                (0, 1)
            }
        };
        let changed = self.clock.now();
        let sealed = self.cipher.seal(&place(namespace, name, generation), value.reveal())?;
        let sealed = Sealed { generation, changed, value: STANDARD.encode(sealed) };
        let value = serde_json::to_vec(&sealed).map_err(|e| Error::internal("a secret can't be written").caused_by(e))?.into();
        self.catalog.commit(vec![Write::Put { key: key(namespace, name), expect, value }]).await?;
        Ok(SecretInfo { name: name.clone(), generation, changed })
    }

    /// What there is of a namespace, in name order.
    pub async fn list(&self, namespace: &Name) -> Result<Vec<SecretInfo>> {
        let prefix = format!("{PREFIX}{namespace}/");
        let records = self.catalog.scan(&prefix, None, SECRETS_MAX).await?;
        let info = |record: &Record| {
            let name = Name::new(record.key.strip_prefix(&prefix).unwrap_or_default())?;
            let Sealed { generation, changed, .. } = read(record)?;
            Ok(SecretInfo { name, generation, changed })
        };
        records.iter().map(info).collect()
    }

    /// Those that have a secret.
    pub async fn namespaces(&self) -> Result<Vec<Name>> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        // One look for each: past all that the last one has.
        while let Some(record) = self.catalog.scan(PREFIX, after.as_deref(), 1).await?.pop() {
            let namespace = record.key.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            let namespace = Name::new(namespace)?;
            after = Some(format!("{PREFIX}{namespace}/{}", char::MAX));
            found.push(namespace);
        }
        Ok(found)
    }

    pub async fn info(&self, namespace: &Name, name: &Name) -> Result<SecretInfo> {
        let (_, Sealed { generation, changed, .. }) = self.get(namespace, name).await?;
        Ok(SecretInfo { name: name.clone(), generation, changed })
    }

    pub async fn remove(&self, namespace: &Name, name: &Name) -> Result<()> {
        let _turn = self.turn.lock().await;
        let (expect, _) = self.get(namespace, name).await?;
        self.catalog.commit(vec![Write::Delete { key: key(namespace, name), expect }]).await
    }

    async fn bounded(&self, namespace: &Name) -> Result<()> {
        if self.catalog.scan(&format!("{PREFIX}{namespace}/"), None, SECRETS_MAX).await?.len() < SECRETS_MAX {
            return Ok(());
        }
        Err(Error::new(Code::QuotaExceeded, format!("the namespace {namespace} has {SECRETS_MAX} secrets, which is the limit"))
            .hint("Remove those that nothing uses; `mote secret list` names who uses which."))
    }

    async fn get(&self, namespace: &Name, name: &Name) -> Result<(Revision, Sealed)> {
        self.find(namespace, name).await?.ok_or_else(|| missing(namespace, name))
    }

    async fn find(&self, namespace: &Name, name: &Name) -> Result<Option<(Revision, Sealed)>> {
        let record = self.catalog.get(&key(namespace, name)).await?;
        record.map(|record| Ok((record.revision, read(&record)?))).transpose()
    }
}

impl Secrets for Vault {
    fn reveal<'a>(&'a self, namespace: &'a Name, name: &'a Name) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            let (_, stored) = self.get(namespace, name).await?;
            // Of what is not Base64 nothing is left, and that opens no better.
            let sealed = STANDARD.decode(&stored.value).unwrap_or_default();
            self.cipher.open(&place(namespace, name, stored.generation), &sealed).ok_or_else(|| {
                Error::new(Code::StoreFailed, format!("the stored secret {name} is damaged, or was put in another's place"))
                    .hint(format!("Set it again: `mote secret set {name}`."))
            })
        })
    }
}

fn key(namespace: &Name, name: &Name) -> String {
    format!("{PREFIX}{namespace}/{name}")
}

/// What the seal holds to: a value can't be passed off as another's, nor an old one as the newest.
fn place(namespace: &Name, name: &Name, generation: u64) -> String {
    format!("{}/{generation}", key(namespace, name))
}

fn read(record: &Record) -> Result<Sealed> {
    serde_json::from_slice(&record.value).map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))
}

/// Says also how to make it be there.
pub(crate) fn missing(namespace: &Name, name: &Name) -> Error {
    let flag = if namespace.as_str() == Name::DEFAULT { String::new() } else { format!(" --namespace {namespace}") };
    Error::new(Code::SecretNotFound, format!("there is no secret {name} in the namespace {namespace}"))
        .hint(format!("`mote secret set {name}{flag}` makes it; `mote secret list{flag}` names those that are there."))
}
