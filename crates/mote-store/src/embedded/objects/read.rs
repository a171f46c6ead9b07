//! An object's bytes as a stream over its files, in pieces, each read by a blocking thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use mote_core::body::Body;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{ByteRange, ObjectInfo};
use rusqlite::Connection;

use super::files::Files;
use super::index::{self, Entry};
use super::reaper::Pin;
use crate::embedded::fault::{self, Fault};

const PIECE_BYTES: u64 = 256 << 10;
/// How often in a row a reader may find the object replaced under its hands.
const TRIES_MAX: usize = 100;

/// The object as it stands, with its first piece already read: a small one is then all there.
pub(super) fn open(
    connection: &Connection,
    files: Arc<Files>,
    bucket: &str,
    key: &str,
    range: Option<ByteRange>,
) -> Result<(ObjectInfo, Body), Fault> {
    for _ in 0..TRIES_MAX {
        let entry = index::find(connection, bucket, key)?;
        let pin = Pin::new(entry.file, files.pins.clone(), files.chores());
        // The pin holds all files if the first is still there; else the object was replaced meanwhile.
        match File::open(files.shelf.path(entry.file)) {
            Ok(_) => return start(connection, files, entry, range, pin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fault::io("the object", error).into()),
        }
    }
    Err(Error::new(Code::StoreFailed, format!("the bytes of {key:?} are missing, or it is replaced all the time")).into())
}

fn start(
    connection: &Connection,
    files: Arc<Files>,
    entry: Entry,
    range: Option<ByteRange>,
    pin: Pin,
) -> Result<(ObjectInfo, Body), Fault> {
    let (first, end) = match range {
        None => (0, entry.info.size),
        Some(ByteRange { first, last }) if first <= last && last < entry.info.size => (first, last + 1),
        Some(ByteRange { first, last }) => {
            let detail = format!("the bytes {first} to {last} are not all within the object, which has {}", entry.info.size);
            return Err(Error::new(Code::RangeInvalid, detail).into());
        }
    };
    let length = end - first;
    let mut spans = VecDeque::new();
    let mut begins = 0;
    for segment in index::segments(connection, &entry)? {
        let ends = begins + segment.size;
        let (from, to) = (first.max(begins), end.min(ends));
        if from < to {
            spans.push_back(Span { file: segment.file, offset: from - begins, left: to - from });
        }
        begins = ends;
    }
    let mut reader = Reader { files, spans, open: None, _pin: pin };
    let piece = reader.piece().map_err(|error| fault::io("the object", error))?.unwrap_or_default();
    if piece.len() as u64 == length {
        return Ok((entry.info, Body::from(piece)));
    }
    Ok((entry.info, Body::stream(reader.stream(piece), Some(length))))
}

/// What is still to be read of one file.
struct Span {
    file: i64,
    offset: u64,
    left: u64,
}

struct Reader {
    files: Arc<Files>,
    spans: VecDeque<Span>,
    /// The file of the first span, at its offset.
    open: Option<File>,
    _pin: Pin,
}

impl Reader {
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let Some(span) = self.spans.front_mut() else { return Ok(None) };
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let mut file = File::open(self.files.shelf.path(span.file))?;
                file.seek(SeekFrom::Start(span.offset))?;
                self.open.insert(file)
            }
        };
        let wanted = span.left.min(PIECE_BYTES);
        let mut piece = Vec::with_capacity(wanted as usize);
        file.take(wanted).read_to_end(&mut piece)?;
        if (piece.len() as u64) < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        span.left -= wanted;
        if span.left == 0 {
            self.spans.pop_front();
            self.open = None;
        }
        Ok(Some(Bytes::from(piece)))
    }

    fn stream(self, first: Bytes) -> impl futures_util::Stream<Item = Result<Bytes>> + Send + 'static {
        let state = (Some(first), Some(self));
        futures_util::stream::unfold(state, |(first, reader)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (None, reader)));
            }
            let mut reader = reader?;
            let read = tokio::task::spawn_blocking(move || (reader.piece(), reader)).await;
            match read {
                Ok((Ok(piece), reader)) => Some((Ok(piece?), (None, Some(reader)))),
                Ok((Err(error), _)) => Some((Err(fault::io("the object", error)), (None, None))),
                Err(error) => Some((Err(Error::internal("a read broke off").caused_by(error)), (None, None))),
            }
        })
    }
}
