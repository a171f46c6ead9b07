//! The server's own credentials: made at the first start, readable by its user alone.
//!
//! Who may do what with them is judged in `mote_core::access`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use mote_core::access::{KeyPair, Root};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const FILE: &str = "credentials.json";

/// See the module's text.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// `Authorization: Bearer …` on the control door.
    pub(crate) token: String,
    /// The key pair that S3 clients sign with.
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// In hexadecimal: what tokens are hashed with and their access keys and signed URLs made with.
    #[serde(default)]
    pub(crate) server_key: String,
}

impl Credentials {
    /// Those of a data directory; without any, `None`.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Credentials>, Failure> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::refused(format!("{} can't be read: {error}", path.display()))
                    .hint("Run this as the server's user, or set MOTE_URL and MOTE_TOKEN."));
            }
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Failure::refused(format!("{} is not what mote wrote: {error}", path.display()))
                .hint("Delete it: the next start of the server makes new credentials.")
        })
    }

    pub(crate) fn read_or_make(data_dir: &Path) -> Result<Credentials, Failure> {
        if let Some(mut found) = Credentials::read(data_dir)? {
            // Written by a version that had no use for it.
            if found.server_key.is_empty() {
                found.server_key = server_key()?;
                write_private(data_dir, FILE, &found)?;
            }
            return Ok(found);
        }
        let made = Credentials {
            token: format!("mote_{}", secret(32)?),
            access_key_id: format!("MOTE{}", secret(16)?.to_ascii_uppercase()),
            secret_access_key: secret(40)?,
            server_key: server_key()?,
        };
        write_private(data_dir, FILE, &made)?;
        // Keys belong into no repository, wherever the directory lies. Without the note all works as well.
        let _ = fs::write(data_dir.join(".gitignore"), "*\n");
        Ok(made)
    }

    pub(crate) fn root(&self) -> Result<Root, Failure> {
        let pair = KeyPair { id: self.access_key_id.clone(), secret: self.secret_access_key.clone() };
        let key = self.server_key.parse::<Digits>().map_err(|Unreadable| {
            Failure::refused(format!("`server_key` in {FILE} is not what mote wrote: 64 hexadecimal digits are wanted"))
                .hint("Put the file's last good copy back; without it every token and signed URL is void.")
        })?;
        Ok(Root { token: self.token.clone(), keys: vec![pair], server_key: key.0 })
    }
}

/// 32 bytes in hexadecimal.
struct Digits([u8; 32]);

struct Unreadable;

impl std::str::FromStr for Digits {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Digits, Unreadable> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unreadable);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| Unreadable)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Unreadable)?;
        }
        Ok(Digits(bytes))
    }
}

fn server_key() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::platform(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Letters and digits, five bits each.
fn secret(length: usize) -> Result<String, Failure> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| Failure::platform(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// A file for its owner alone; whole or not there, whatever happens meanwhile.
pub(crate) fn write_private(dir: &Path, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let (path, staged) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || {
        let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&staged, &path)?;
        // Or a crash could take the file back, and what was sealed with a key in it would be lost.
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| Failure::platform(format!("{} can't be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_once_and_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let made = Credentials::read_or_make(dir.path()).unwrap();
        let again = Credentials::read_or_make(dir.path()).unwrap();
        assert_eq!(made.token, again.token);
        assert_eq!(made.access_key_id.len(), 20);
        assert_eq!(made.secret_access_key.len(), 40);
        assert!(again.root().is_ok_and(|root| root.server_key != [0; 32]));
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let old = serde_json::json!({ "token": "t", "access_key_id": "K", "secret_access_key": "s" });
        write_private(dir.path(), FILE, &old).unwrap();
        let mended = Credentials::read_or_make(dir.path()).unwrap();
        assert_eq!((mended.token.as_str(), mended.server_key.len()), ("t", 64));
        assert_eq!(Credentials::read_or_make(dir.path()).unwrap().server_key, mended.server_key);
        assert_ne!(made.token, Credentials::read_or_make(tempfile::tempdir().unwrap().path()).unwrap().token);
    }
}
