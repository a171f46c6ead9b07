//! Tokens: made once, shown once, kept as a hash, held in memory for every request.
//!
//! A token is `mote_<id>_<secret>`. The id finds the record, the secret is 256 random bits. An
//! access key's secret is computed from its id and the server's key, so that it is nowhere on
//! disk. The catalog is changed first and the table after it; a revoked token is void at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Holder;
use super::mac::{hex, mac, unhex};
use super::rights::{Rights, Scope};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::store::{Catalog, Record, Write};

/// Of the whole server.
pub const TOKENS_MAX: usize = 10_000;

const PREFIX: &str = "tokens/";
const MARK: &str = "mote_";
const ID_BYTES: usize = 8;

/// What a token is known by; another one of the same name has another.
pub type TokenId = [u8; ID_BYTES];

/// What a new token shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    pub name: Name,
    pub scope: Scope,
    pub rights: Rights,
    /// `None`: until it is revoked.
    pub expires: Option<Timestamp>,
    /// With a key pair for S3 clients.
    pub s3: bool,
}

/// What may be told of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub name: Name,
    pub scope: Scope,
    pub rights: Rights,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
}

/// A token as it is shown to the one who made it, and never again.
#[derive(Serialize)]
pub struct NewToken {
    #[serde(flatten)]
    pub info: TokenInfo,
    pub token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
}

/// The record; its key holds scope and name.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    /// Of the secret, with the server's key.
    hash: String,
    #[serde(flatten)]
    info: TokenInfo,
}

/// Every token of the server.
pub struct Tokens {
    key: [u8; 32],
    table: RwLock<Table>,
    /// One change at a time: names and their number are judged before the commit.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<TokenId, Arc<Token>>,
    by_name: BTreeMap<(Scope, Name), Arc<Token>>,
    by_key: HashMap<String, Arc<Token>>,
}

struct Token {
    id: TokenId,
    hash: [u8; 32],
    info: TokenInfo,
    holder: Arc<Holder>,
}

impl Tokens {
    pub(super) fn new(key: [u8; 32]) -> Tokens {
        Tokens { key, table: RwLock::default(), turn: Default::default() }
    }

    pub(super) async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        const PAGE: usize = 1000;
        let (mut after, mut table) = (None, Table::default());
        loop {
            let page = catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                table.insert(Arc::new(Token::read(record)?));
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        *self.write() = table;
        Ok(())
    }

    /// The holder of a token that was presented.
    pub(super) fn holder(&self, presented: &str, now: Timestamp) -> Result<Arc<Holder>> {
        let unknown = || {
            Error::new(Code::CredentialInvalid, "the token is not one of this server's")
                .hint("It may have been revoked. An admin makes another: `mote token create NAME --right RIGHTS`.")
        };
        let (id, secret) = parse(presented).ok_or_else(unknown)?;
        let found = self.read().by_id.get(&id).cloned();
        let token = found.filter(|token| self.hash(&id, &secret).ct_eq(&token.hash).into()).ok_or_else(unknown)?;
        token.valid(now)
    }

    /// The holder of the token that signed something, if it still is one.
    pub(super) fn holder_of_id(&self, id: &TokenId, now: Timestamp) -> Result<Arc<Holder>> {
        let found = self.read().by_id.get(id).cloned();
        let gone = || {
            Error::new(Code::CredentialInvalid, "the token that signed the URL was revoked")
                .hint("`mote sign` makes another, with a token that is valid.")
        };
        found.ok_or_else(gone)?.valid(now)
    }

    /// The holder of the token that an access key belongs to.
    pub(super) fn holder_of_key(&self, key_id: &str, now: Timestamp) -> Result<Arc<Holder>> {
        let found = self.read().by_key.get(key_id).cloned();
        found.ok_or_else(|| Error::new(Code::CredentialInvalid, "the access key is not one of this server's"))?.valid(now)
    }

    pub(super) fn secret_of(&self, key_id: &str) -> Option<String> {
        self.read().by_key.contains_key(key_id).then(|| self.key_secret(key_id))
    }

    /// Makes a token. `max` is how many its namespace may have.
    pub(super) async fn create(&self, catalog: &dyn Catalog, clock: &dyn Clock, wish: TokenWish, max: Option<u64>) -> Result<NewToken> {
        let _turn = self.turn.lock().await;
        let place = (wish.scope.clone(), wish.name.clone());
        if wish.rights.is_empty() {
            return Err(Error::new(Code::RequestInvalid, "a token without a right is good for nothing")
                .hint("The rights are invoke, deploy, read and admin."));
        }
        if self.read().by_name.contains_key(&place) {
            return Err(Error::new(Code::Conflict, format!("there is a token {} for {} already", wish.name, wish.scope))
                .hint("Revoke it first, or take another name."));
        }
        self.check_number(&wish.scope, max)?;
        let (drawn, secret) = (clock.random()?, clock.random()?);
        let id = *drawn.last_chunk::<ID_BYTES>().ok_or_else(|| Error::internal("32 bytes hold fewer than 8"))?;
        let access_key_id = wish.s3.then(|| format!("MOTE{}", hex(&id).to_ascii_uppercase()));
        let info = TokenInfo {
            name: wish.name,
            scope: wish.scope,
            rights: wish.rights,
            created: clock.now(),
            expires: wish.expires,
            access_key_id,
        };
        let stored = Stored { id: hex(&id), hash: hex(&self.hash(&id, &secret)), info: info.clone() };
        let value = serde_json::to_vec(&stored).map_err(|e| Error::internal("a token can't be written").caused_by(e))?;
        catalog.commit(vec![Write::Put { key: key(&place.0, &place.1), expect: 0, value: value.into() }]).await?;
        self.write().insert(Arc::new(Token::new(id, self.hash(&id, &secret), info.clone())));
        let secret_access_key = info.access_key_id.as_deref().map(|id| self.key_secret(id));
        Ok(NewToken { info, token: format!("{MARK}{}_{}", hex(&id), hex(&secret)), secret_access_key })
    }

    pub(super) async fn revoke(&self, catalog: &dyn Catalog, scope: &Scope, name: &Name) -> Result<()> {
        let _turn = self.turn.lock().await;
        let key = key(scope, name);
        let record = catalog.get(&key).await?.ok_or_else(|| {
            Error::new(Code::TokenNotFound, format!("there is no token {name} for {scope}")).hint("`mote token list` shows them.")
        })?;
        catalog.commit(vec![Write::Delete { key, expect: record.revision }]).await?;
        self.write().remove(scope, name);
        Ok(())
    }

    /// Those of a scope, or all, by scope and name.
    pub fn list(&self, scope: Option<&Scope>) -> Vec<TokenInfo> {
        let table = self.read();
        let wanted = table.by_name.iter().filter(|((own, _), _)| scope.is_none_or(|scope| own == scope));
        wanted.map(|(_, token)| token.info.clone()).collect()
    }

    fn check_number(&self, scope: &Scope, max: Option<u64>) -> Result<()> {
        let (all, own) = (self.read().by_name.len(), self.list(Some(scope)).len());
        if all >= TOKENS_MAX {
            return Err(Error::new(
                Code::QuotaExceeded,
                format!("the server has {all} tokens, and {TOKENS_MAX} is the most that it keeps"),
            )
            .hint("Revoke those that nobody uses: `mote token list --all`."));
        }
        match max {
            Some(max) if own as u64 >= max => Err(super::limits::exceeded("tokens", max, scope.as_str())),
            _ => Ok(()),
        }
    }

    fn hash(&self, id: &TokenId, secret: &[u8; 32]) -> [u8; 32] {
        mac(&self.key, "token", &[id, secret])
    }

    /// 40 digits, as long as clients expect one to be.
    fn key_secret(&self, key_id: &str) -> String {
        hex(&mac(&self.key, "access key", &[key_id.as_bytes()])[..20])
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, token: Arc<Token>) {
        self.by_id.insert(token.id, token.clone());
        if let Some(key_id) = &token.info.access_key_id {
            self.by_key.insert(key_id.clone(), token.clone());
        }
        self.by_name.insert((token.info.scope.clone(), token.info.name.clone()), token);
    }

    fn remove(&mut self, scope: &Scope, name: &Name) {
        let Some(token) = self.by_name.remove(&(scope.clone(), name.clone())) else { return };
        self.by_id.remove(&token.id);
        if let Some(key_id) = &token.info.access_key_id {
            self.by_key.remove(key_id);
        }
    }
}

impl Token {
    fn new(id: TokenId, hash: [u8; 32], info: TokenInfo) -> Token {
        let holder = Arc::new(Holder { id, name: info.name.clone(), scope: info.scope.clone(), rights: info.rights });
        Token { id, hash, info, holder }
    }

    fn read(record: &Record) -> Result<Token> {
        let unreadable = || Error::internal(format!("the record {} can't be read", record.key));
        let stored: Stored = serde_json::from_slice(&record.value).map_err(|e| unreadable().caused_by(e))?;
        let (id, hash) = (unhex(&stored.id).ok_or_else(unreadable)?, unhex(&stored.hash).ok_or_else(unreadable)?);
        Ok(Token::new(id, hash, stored.info))
    }

    fn valid(&self, now: Timestamp) -> Result<Arc<Holder>> {
        match self.info.expires {
            Some(end) if end <= now => {
                Err(Error::new(Code::CredentialInvalid, format!("the token {} expired at {}", self.info.name, end.rfc3339()))
                    .hint("An admin makes another: `mote token create NAME --right RIGHTS`."))
            }
            _ => Ok(self.holder.clone()),
        }
    }
}

/// Whether text looks like a token of mote's, good or not.
pub(super) fn is_marked(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Id and secret of a token's text. Any text may come here.
pub fn parse(text: &str) -> Option<(TokenId, [u8; 32])> {
    let (id, secret) = text.strip_prefix(MARK)?.split_once('_')?;
    Some((unhex(id)?, unhex(secret)?))
}

fn key(scope: &Scope, name: &Name) -> String {
    format!("{PREFIX}{}/{name}", scope.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_token_is_read() {
        let good = format!("mote_{}_{}", "0a".repeat(8), "ff".repeat(32));
        assert_eq!(parse(&good), Some(([10; 8], [255; 32])));
        for bad in ["", "mote_", "mote__", &good[1..], &good[..good.len() - 1], &good.replace('f', "F"), &format!("{good}_"), "mote_ä_ö"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
