//! `[[queue]]`: the messages that a function is called with. Reference: `docs/reference/manifest.md`.

use mote_core::Result;
use mote_core::function::{Binding, Name, QueueBinding};
use mote_core::topic::filter::Filter;

use super::delivery::RETRY;
use super::invalid;
use super::section::Section;
use super::topic::told;

const MINUTE: u64 = 60_000;

pub(super) fn read(table: &Section) -> Result<Binding> {
    table.expect_keys("[[queue]]", &[&["name", "batch", "window", "concurrency", "filter"], RETRY].concat())?;
    let queue = table
        .get("name")
        .ok_or_else(|| invalid("[[queue]] has no `name`").hint("Name the queue; a deploy makes it if it is not there."))?;
    let count = |key, default, bounds| table.get(key).map_or(Ok(default), |value| value.count(bounds));
    let filter = table.get("filter").map(|value| told(&value, value.json().and_then(Filter::read))).transpose()?;
    Ok(Binding::Queue(
        QueueBinding {
            batch: count("batch", 1, 1..=1000)?,
            window_ms: table.get("window").map_or(Ok(0), |value| value.duration_ms(0..=5 * MINUTE))?,
            concurrency: count("concurrency", QueueBinding::CONCURRENCY, 1..=1000)?,
            filters: filter.into_iter().collect(),
            ..QueueBinding::new(told(&queue, Name::new(queue.text()?))?)
        }
        .into(),
    ))
}

#[cfg(test)]
mod tests {
    use mote_core::bundle::Bundle;

    use super::*;
    use crate::plain::manifest::keys;

    #[test]
    fn bindings_are_bounded() {
        let mut bundle = Bundle::default();
        bundle.insert("f.py", "", false).unwrap();
        let manifest = |table: &str| format!("entry = \"f.py\"\n[[queue]]\n{table}\n");
        let read = |table: &str| keys::read(&manifest(table), &bundle).map(|mut all| all.remove(0).bindings.remove(0));
        let Binding::Queue(plain) = read("name = \"orders\"").unwrap() else { panic!("no queue") };
        assert_eq!((plain.queue.as_str(), plain.batch, plain.window_ms, plain.concurrency), ("orders", 1, 0, 10));
        let Binding::Queue(own) =
            read("name = \"orders\"\nbatch = 50\nwindow = \"2s\"\nattempts = 3\nfilter = { data = { n = [7] } }").unwrap()
        else {
            panic!("no queue")
        };
        assert_eq!((own.batch, own.window_ms, own.retry.as_ref().map(|retry| retry.attempts_max)), (50, 2000, Some(3)));
        assert_eq!((plain.filters.len(), own.filters.len()), (0, 1));
        for bad in [
            "",
            "name = \"a/b\"",
            "name = \"a\"\nbatch = 0",
            "name = \"a\"\nwindow = \"6m\"",
            "name = \"a\"\nsize = 3",
            "name = \"a\"\nfilter = 3",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
