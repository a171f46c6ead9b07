//! `secret.key`: what the secrets in the store are sealed with, in the clear or under a passphrase.
//!
//! The key itself is 32 random bytes, made at the first start. A passphrase only seals this file:
//! argon2id makes a key of it that opens the key, so it can be brought in later without touching
//! a single secret. What is sealed, and how: `mote_core::secret`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use mote_core::clock::Clock;
use mote_core::secret::cipher::{Cipher, Key};
use mote_core::secret::vault::Vault;
use mote_core::store::Catalog;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credentials::write_private;
use crate::failure::Failure;
use crate::prompt;

const FILE: &str = "secret.key";
const FILE_BYTES_MAX: u64 = 64 << 10;
const PASSPHRASE_BYTES_MAX: usize = 4 << 10;
const SALT_BYTES: usize = 16;

/// How much work one guess at a passphrase costs: 64 MiB three times over.
const WORK: Work = Work { memory_kib: 64 << 10, passes: 3, lanes: 1 };
/// The file is ours, but a slip in it must not take the machine's memory.
const WORK_MAX: Work = Work { memory_kib: 1 << 20, passes: 64, lanes: 16 };

/// Where the passphrase comes from, if there is one.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PassphraseFrom {
    /// Seal the key of the secrets with the passphrase in this file; `-` asks for it
    #[arg(long = "secret-passphrase-file", value_name = "FILE", env = "MOTE_SECRET_PASSPHRASE_FILE")]
    pub(crate) file: Option<PathBuf>,
}

type Passphrase = Zeroizing<Vec<u8>>;

/// `secret.key`, as it is on disk. All bytes in base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Key(Zeroizing<String>),
    /// Sealed with what argon2id makes of the passphrase.
    Sealed {
        key: String,
        salt: String,
        #[serde(flatten)]
        work: Work,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Work {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The secrets, opened with the key of the data directory.
pub(crate) async fn vault(
    catalog: Arc<dyn Catalog>,
    data_dir: &Path,
    passphrase: &PassphraseFrom,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Vault>, Failure> {
    let begun = Vault::is_begun(&*catalog).await?;
    let key = open(data_dir, passphrase, begun, clock)?;
    let cipher = Arc::new(Cipher::new(&key, clock.clone()));
    Ok(Arc::new(Vault::open(catalog, cipher, clock.clone()).await?))
}

/// The key of a data directory. Made if there is none, unless something has been `sealed` already.
pub(crate) fn open(data_dir: &Path, from: &PassphraseFrom, sealed: bool, clock: &Arc<dyn Clock>) -> Result<Key, Failure> {
    let passphrase = from.read()?;
    let kept = match read(data_dir)? {
        Some(kept) => kept,
        None if sealed => {
            return Err(Failure::refused(format!("{} is missing, and secrets were sealed with it", data_dir.join(FILE).display()))
                .wanted("wanted: the file as the first start made it")
                .hint("Put it back from a backup; without it nobody can open the secrets."));
        }
        None => {
            let key = Key::new(clock.random()?);
            let kept = match &passphrase {
                Some(passphrase) => seal(&key, passphrase, clock)?,
                None => Kept::Key(STANDARD.encode(key.reveal()).into()),
            };
            write_private(data_dir, FILE, &kept)?;
            return Ok(key);
        }
    };
    match (kept, passphrase) {
        (Kept::Key(text), None) => key(data_dir, &Zeroizing::new(STANDARD.decode(&*text).unwrap_or_default())),
        (Kept::Key(text), Some(passphrase)) => {
            let key = key(data_dir, &Zeroizing::new(STANDARD.decode(&*text).unwrap_or_default()))?;
            write_private(data_dir, FILE, &seal(&key, &passphrase, clock)?)?;
            tracing::info!("the key of the secrets is sealed with the passphrase from now on");
            Ok(key)
        }
        (Kept::Sealed { key, salt, work }, Some(passphrase)) => unseal(data_dir, &key, &salt, work, &passphrase, clock),
        (Kept::Sealed { .. }, None) => Err(Failure::refused("the secrets of this data directory are sealed with a passphrase")
            .wanted("wanted: the passphrase, by --secret-passphrase-file or MOTE_SECRET_PASSPHRASE_FILE")
            .hint("`--secret-passphrase-file -` asks for it.")),
    }
}

fn read(data_dir: &Path) -> Result<Option<Kept>, Failure> {
    let path = data_dir.join(FILE);
    let unread = |why: String| {
        Failure::refused(format!("{} can't be read: {why}", path.display()))
            .hint("Run mote as the data directory's owner, or put the file back from a backup.")
    };
    match fs::metadata(&path) {
        Ok(status) if status.len() > FILE_BYTES_MAX => return Err(unread("it is too large to be a key".into())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error.to_string())),
    }
    let text = Zeroizing::new(fs::read(&path).map_err(|error| unread(error.to_string()))?);
    // Without the parser's words, which may quote what it read.
    serde_json::from_slice(&text).map(Some).map_err(|_| unread("it is not what mote wrote".into()))
}

fn key(data_dir: &Path, bytes: &[u8]) -> Result<Key, Failure> {
    bytes.try_into().map(Key::new).map_err(|_| {
        Failure::refused(format!("{} does not hold a key of {} bytes", data_dir.join(FILE).display(), Key::BYTES))
            .hint("Put it back from a backup; without it nobody can open the secrets.")
    })
}

fn seal(key: &Key, passphrase: &Passphrase, clock: &Arc<dyn Clock>) -> Result<Kept, Failure> {
    let random = clock.random()?;
    let salt: &[u8] = random.first_chunk::<SALT_BYTES>().map_or(&[], |salt| salt);
    let sealed = lock(passphrase, salt, WORK, clock)?.seal(FILE, key.reveal())?;
    Ok(Kept::Sealed { key: STANDARD.encode(sealed), salt: STANDARD.encode(salt), work: WORK })
}

fn unseal(data_dir: &Path, sealed: &str, salt: &str, work: Work, passphrase: &Passphrase, clock: &Arc<dyn Clock>) -> Result<Key, Failure> {
    let (sealed, salt) = (STANDARD.decode(sealed).unwrap_or_default(), STANDARD.decode(salt).unwrap_or_default());
    let opened = lock(passphrase, &salt, work, clock)?.open(FILE, &sealed).ok_or_else(|| {
        Failure::refused("the passphrase does not open the key of the secrets")
            .wanted(format!("wanted: the passphrase that {} was sealed with", data_dir.join(FILE).display()))
            .hint("One line end at the end of the passphrase's file does not count; every other character does.")
    })?;
    key(data_dir, opened.reveal())
}

/// What opens the key: argon2id of the passphrase.
fn lock(passphrase: &Passphrase, salt: &[u8], work: Work, clock: &Arc<dyn Clock>) -> Result<Cipher, Failure> {
    let wrong =
        |why: String| Failure::refused(format!("{FILE} has parameters that can't be: {why}")).hint("Put the file back from a backup.");
    let Work { memory_kib, passes, lanes } = work;
    if memory_kib > WORK_MAX.memory_kib || passes > WORK_MAX.passes || lanes > WORK_MAX.lanes {
        return Err(wrong(format!("{work:?} is more than {WORK_MAX:?}")));
    }
    let params = Params::new(memory_kib, passes, lanes, Some(Key::BYTES)).map_err(|error| wrong(error.to_string()))?;
    let mut bytes = Zeroizing::new([0; Key::BYTES]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase, salt, &mut *bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Cipher::new(&Key::new(*bytes), clock.clone()))
}

impl PassphraseFrom {
    fn read(&self) -> Result<Option<Passphrase>, Failure> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut passphrase = if file.as_os_str() == "-" {
            prompt::secret("passphrase of the secrets: ", PASSPHRASE_BYTES_MAX)?
        } else {
            let opened = fs::File::open(file).map_err(|error| {
                Failure::refused(format!("{} can't be read: {error}", file.display()))
                    .wanted("wanted: a file that holds the passphrase of the secrets")
            })?;
            prompt::bounded(opened, PASSPHRASE_BYTES_MAX)?
        };
        prompt::cut_line_end(&mut passphrase);
        if passphrase.is_empty() {
            return Err(Failure::refused("the passphrase of the secrets is empty").hint(format!("Write one into {}.", file.display())));
        }
        Ok(Some(passphrase))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mote_core::clock::SystemClock;

    use super::*;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    fn with(dir: &Path, passphrase: &str) -> PassphraseFrom {
        let file = dir.join("passphrase");
        fs::write(&file, passphrase).unwrap();
        PassphraseFrom { file: Some(file) }
    }

    fn said(result: Result<Key, Failure>) -> String {
        format!("{:?}", result.err().expect("a refusal"))
    }

    #[test]
    fn made_once_and_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let none = PassphraseFrom::default();
        let made = open(dir.path(), &none, false, &clock()).unwrap();
        assert_eq!(open(dir.path(), &none, true, &clock()).unwrap().reveal(), made.reveal());
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(dir.path().join(FILE)).unwrap();
        assert!(said(open(dir.path(), &none, true, &clock())).contains("is missing"));
        assert!(!dir.path().join(FILE).exists(), "a new key would open nothing");
    }

    #[test]
    fn a_passphrase_seals_the_key_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = PassphraseFrom::default();
        let made = open(dir.path(), &none, false, &clock()).unwrap();
        let right = with(dir.path(), "correct horse\n");
        assert_eq!(open(dir.path(), &right, true, &clock()).unwrap().reveal(), made.reveal());
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!text.contains(&STANDARD.encode(made.reveal())) && text.contains("memory_kib"), "{text}");
        assert_eq!(open(dir.path(), &right, true, &clock()).unwrap().reveal(), made.reveal());
        assert!(said(open(dir.path(), &none, true, &clock())).contains("sealed with a passphrase"));
        let wrong = with(dir.path(), "correct horse \n");
        assert!(said(open(dir.path(), &wrong, true, &clock())).contains("does not open"));
        let empty = with(dir.path(), "\n");
        assert!(said(open(dir.path(), &empty, true, &clock())).contains("is empty"));
    }

    #[test]
    fn parameters_have_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let right = with(dir.path(), "correct horse");
        for work in [r#""memory_kib":4000000,"passes":3,"lanes":1"#, r#""memory_kib":8,"passes":0,"lanes":1"#] {
            fs::write(dir.path().join(FILE), format!(r#"{{"sealed":{{"key":"","salt":"AAAAAAAAAAAAAAAAAAAAAA==",{work}}}}}"#)).unwrap();
            assert!(said(open(dir.path(), &right, true, &clock())).contains("parameters"), "{work}");
        }
        fs::write(dir.path().join(FILE), "{\"key\":\"c2hvcnQ=\"}").unwrap();
        assert!(said(open(dir.path(), &PassphraseFrom::default(), true, &clock())).contains("32 bytes"));
    }
}
