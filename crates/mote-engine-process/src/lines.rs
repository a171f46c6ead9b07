//! What a process prints, cut into lines of a bounded length.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

const LINE_BYTES_MAX: usize = 8 << 10;
const TAIL_BYTES_MAX: usize = 4 << 10;

/// Reads until the end; `line` gets each line without its end. A longer one comes in pieces.
pub(crate) async fn read(mut from: impl AsyncRead + Unpin, mut line: impl FnMut(String)) {
    let mut buffer = Vec::with_capacity(1024);
    // A pipe that can't be read any more has ended, for all that its reader can do.
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        let mut rest = buffer.as_slice();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (one, after) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
            cut(one, &mut line);
            rest = after;
        }
        while rest.len() >= LINE_BYTES_MAX {
            let (piece, after) = rest.split_at(LINE_BYTES_MAX);
            line(text(piece));
            rest = after;
        }
        let left = rest.len();
        buffer.drain(..buffer.len() - left);
    }
    if !buffer.is_empty() {
        cut(&buffer, &mut line);
    }
}

fn cut(one: &[u8], line: &mut impl FnMut(String)) {
    if one.len() <= LINE_BYTES_MAX {
        return line(text(one));
    }
    one.chunks(LINE_BYTES_MAX).for_each(|piece| line(text(piece)));
}

/// The lines of a text that came whole, by the same bound.
pub(crate) fn of(text: &str, mut line: impl FnMut(String)) {
    text.lines().for_each(|one| cut(one.as_bytes(), &mut line));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

/// The last lines of stderr, for the report of a crash.
#[derive(Default)]
pub(crate) struct Tail(Mutex<(VecDeque<String>, usize)>);

impl Tail {
    pub(crate) fn push(&self, line: &str) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, bytes) = &mut *tail;
        lines.push_back(line.to_owned());
        *bytes += line.len() + 1;
        while *bytes > TAIL_BYTES_MAX && lines.len() > 1 {
            *bytes -= lines.pop_front().map_or(0, |gone| gone.len() + 1);
        }
    }

    pub(crate) fn text(&self) -> String {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Vec::from_iter(tail.0.iter().map(String::as_str)).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        read(bytes, |line| seen.push(line)).await;
        seen
    }

    #[tokio::test]
    async fn lines_end_where_they_end_or_at_the_bound() {
        assert_eq!(lines(b"a\nb\r\n\nc").await, ["a", "b", "", "c"]);
        let long = lines(&[b'x'; LINE_BYTES_MAX * 2 + 1]).await;
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]);
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
        let mut seen = 0;
        of(&"x".repeat(LINE_BYTES_MAX + 1), |_| seen += 1);
        assert_eq!(seen, 2);
    }

    #[test]
    fn the_tail_forgets_the_oldest() {
        let tail = Tail::default();
        (0..1000).for_each(|number| tail.push(&format!("line {number}")));
        assert!(tail.text().ends_with("line 999"));
        assert!(tail.text().len() <= TAIL_BYTES_MAX);
    }
}
