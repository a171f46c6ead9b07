//! How failures below become the store's errors: a full disk is told from a broken one.

use std::io;

use mote_core::error::{Code, Error};
use rusqlite::{ErrorCode, ffi};

/// What a piece of work on the database may end with: SQLite's failure, or an answer of our own.
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Said(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Said(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(error) => sql(error),
            Fault::Said(error) => error,
        }
    }
}

pub(super) fn sql(error: rusqlite::Error) -> Error {
    let code = match error.sqlite_error() {
        Some(found) if found.code == ErrorCode::DiskFull => Code::StorageFull,
        // The index of the write-ahead log could not grow: the same, in other words.
        Some(found) if found.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Code::StorageFull,
        _ => Code::StoreFailed,
    };
    told(code, "the database").caused_by(error)
}

/// A failure at a file; `what` says which, without its path, since a client may read it.
pub(super) fn io(what: &str, error: io::Error) -> Error {
    let code = match error.kind() {
        // A quota or a limit on file sizes is a full disk to the one who writes.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Code::StorageFull,
        _ => Code::StoreFailed,
    };
    told(code, what).caused_by(error)
}

/// The error of a batch once more, for the next caller who waited for it.
pub(super) fn again(code: Code) -> Error {
    told(code, "the database")
}

pub(super) fn told(code: Code, what: &str) -> Error {
    match code {
        Code::StorageFull => Error::new(code, format!("there is no room left on the disk for {what}"))
            .hint("Free some space in the file system of the data directory; nothing was stored."),
        _ => Error::new(code, format!("{what} could not be read or written")).hint("The server's log has the cause."),
    }
}

/// The value is not what this version of mote writes.
pub(super) fn corrupt(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::Said(Error::new(Code::StoreFailed, format!("{what} can't be read")).caused_by(error))
}
