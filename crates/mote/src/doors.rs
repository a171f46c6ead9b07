//! `doors.json`: where the running server of a data directory answers, for the command line on
//! the same machine. Removed at exit; after a crash the lock tells that nobody is there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::credentials::write_private;
use crate::failure::Failure;

const FILE: &str = "doors.json";

/// Each door's URL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Doors {
    pub(crate) public: String,
    pub(crate) control: String,
    pub(crate) aws: String,
    #[serde(default)]
    pub(crate) mqtt: String,
    /// What they show, in base64 of DER, if they speak TLS: a client on this machine trusts it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
}

impl Doors {
    pub(crate) fn read(data_dir: &Path) -> Option<Doors> {
        serde_json::from_slice(&std::fs::read(data_dir.join(FILE)).ok()?).ok()
    }

    /// Tells where the doors are, until the note is dropped.
    pub(crate) fn announce(&self, data_dir: &Path) -> Result<Announced, Failure> {
        self.write(data_dir)?;
        Ok(Announced(data_dir.join(FILE)))
    }

    /// Tells it anew.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<(), Failure> {
        write_private(data_dir, FILE, self)
    }
}

/// The file, as long as the server runs.
pub(crate) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // A file that stays behind leads to a closed port, which the client words well enough.
        let _ = std::fs::remove_file(&self.0);
    }
}
