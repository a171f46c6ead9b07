//! Where things are: the data directory, and the addresses that a server opens.
//!
//! Flags come before the environment, which comes before the defaults. There is no file to
//! configure: what a function needs stands in its manifest.

use std::fs::{DirBuilder, OpenOptions, TryLockError};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mote_dialects::aws::{Account, Keys};

use crate::failure::Failure;

/// The data directory of this machine's server, when nothing else is said.
pub(crate) fn default_data_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    set("MOTE_DATA").unwrap_or_else(|| base.unwrap_or_else(|| PathBuf::from(".")).join("mote"))
}

/// Tells in the caller's words why a server can't have this directory, before the store finds out
/// in its own. `elsewhere` says how to come by another one.
pub(crate) fn check_data_dir(dir: &Path, elsewhere: &str) -> Result<(), Failure> {
    let lock = || {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock"))
    };
    let lock = lock().map_err(|error| {
        Failure::usage(format!("{} can't be the data directory: {error}", dir.display()))
            .wanted("wanted: a directory that you may write to, or a path where one can be made")
            .hint(format!("Mend that, or {elsewhere}."))
    })?;
    match lock.try_lock() {
        // Let go of at once: the store takes it for good.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let found = format!("another server has the data directory {} open", dir.display());
            Err(Failure::refused(found).hint(format!("Stop that server, or {elsewhere}.")))
        }
    }
}

/// The doors' addresses. Port 0 takes a free one.
#[derive(Clone, Debug, Args)]
pub(crate) struct Addresses {
    /// Where function URLs and routes answer [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) public: Option<String>,
    /// Where the command line and the API answer [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub(crate) control: Option<String>,
    /// Where clients of AWS are answered: Lambda, S3, SQS, STS, IAM [default: 127.0.0.1:4566]
    #[arg(long, value_name = "ADDR")]
    pub(crate) aws: Option<String>,
    /// Where devices connect [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR")]
    pub(crate) mqtt: Option<String>,
}

/// How clients of AWS are answered.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AwsClients {
    /// Whose requests the aws door believes: on this machine everybody's (`local`), or only those that a key of this server signed (`known`)
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = AwsKeys::Local)]
    pub(crate) aws_keys: AwsKeys,
    /// The account number that AWS clients are shown for the default namespace
    #[arg(long, value_name = "NUMBER", default_value = "000000000000", value_parser = account)]
    pub(crate) aws_account: Account,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AwsKeys {
    #[default]
    Local,
    Known,
}

impl From<AwsKeys> for Keys {
    fn from(keys: AwsKeys) -> Keys {
        match keys {
            AwsKeys::Local => Keys::Local,
            AwsKeys::Known => Keys::Known,
        }
    }
}

fn account(text: &str) -> Result<Account, String> {
    Account::new(text).ok_or_else(|| "wanted: 12 digits".to_owned())
}

impl Addresses {
    /// What was asked for, or `None` for the default.
    pub(crate) fn asked(&self, door: Door) -> Result<Option<SocketAddr>, Failure> {
        let text = match door {
            Door::Public => &self.public,
            Door::Control => &self.control,
            Door::Aws => &self.aws,
            Door::Mqtt => &self.mqtt,
        };
        text.as_deref().map(|text| socket_address(door, text)).transpose()
    }
}

/// One door of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Public,
    Control,
    Aws,
    Mqtt,
}

impl Door {
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Door::Public => "--public",
            Door::Control => "--control",
            Door::Aws => "--aws",
            Door::Mqtt => "--mqtt",
        }
    }

    pub(crate) fn default(self) -> SocketAddr {
        let port = match self {
            Door::Public => 8080,
            Door::Control => 8081,
            Door::Aws => 4566,
            Door::Mqtt => 1883,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Who may call what, once the door is open to more than this machine.
    pub(crate) fn exposure(self, encrypted: bool) -> &'static str {
        match self {
            Door::Public if encrypted => "anybody who reaches it may call every public function; what is said is encrypted",
            Door::Public => {
                "anybody who reaches it may call every public function; requests, tokens and replies cross the network unencrypted"
            }
            Door::Control if encrypted => "who reaches it and holds a token may do what the token allows; what is said is encrypted",
            Door::Control => {
                "who reaches it and holds a token may do what the token allows; tokens and secrets cross the network unencrypted"
            }
            Door::Aws if encrypted => {
                "who reaches it and holds an access key may use buckets, queues and functions; what is said is encrypted"
            }
            Door::Aws => {
                "who reaches it and holds an access key may use buckets, queues and functions; objects and events cross the network unencrypted"
            }
            Door::Mqtt if encrypted => "who reaches it and holds a token may publish and subscribe; what is said is encrypted",
            Door::Mqtt => "who reaches it and holds a token may publish and subscribe; tokens and messages cross the network unencrypted",
        }
    }
}

/// `127.0.0.1:8080`, `[::1]:0`, `localhost:8080` or `:8080` (this machine alone).
pub(crate) fn socket_address(door: Door, text: &str) -> Result<SocketAddr, Failure> {
    let whole = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    whole.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(|| {
        Failure::usage(format!("{} {text:?} is not an address", door.flag()))
            .wanted("wanted: HOST:PORT, such as 127.0.0.1:8080")
            .hint("Port 0 takes a free port.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text, expect: &str| assert_eq!(socket_address(Door::Public, text).unwrap().to_string(), expect);
        check("127.0.0.1:0", "127.0.0.1:0");
        check(":8080", "127.0.0.1:8080");
        check("[::1]:99", "[::1]:99");
        assert!(socket_address(Door::Public, "8080").is_err());
        assert!(socket_address(Door::Public, "127.0.0.1:99999").is_err());
    }
}
