//! TOML as the tree that YAML comes to, so that one set of words reads both.
//!
//! Bounded in bytes and depth.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::Finding;
use super::yaml::{BYTES_MAX, Key, Node, Place, What};

const DEPTH_MAX: usize = 32;

pub(super) fn read(text: &str) -> Result<Node, Finding> {
    if text.len() > BYTES_MAX {
        return Err(Finding::new(Place::default(), format!("it has {} bytes, and may have {BYTES_MAX}", text.len())));
    }
    let places = Places::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| places.at(span.start)).unwrap_or_default();
        Finding::new(at, error.message().to_owned())
    })?;
    places.table(Place { line: 1, column: 1 }, table.get_ref(), 0)
}

/// Where each line begins.
struct Places<'t> {
    text: &'t str,
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Places<'t> {
        Places { text, lines: [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect() }
    }

    fn at(&self, byte: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= byte);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let before = self.text.get(begin..byte).unwrap_or_default();
        Place { line: line.max(1), column: before.chars().count() + 1 }
    }

    fn table(&self, at: Place, table: &DeTable<'_>, depth: usize) -> Result<Node, Finding> {
        let mut entries = Vec::new();
        for (key, value) in table.iter() {
            let named = Key { at: self.at(key.span().start), text: key.get_ref().as_ref().into() };
            entries.push((named, self.node(value, depth)?));
        }
        // Tables come in the order of their names.
        entries.sort_by_key(|(key, _)| key.at);
        Ok(Node::map(at, entries))
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Finding> {
        let at = self.at(value.span().start);
        if depth >= DEPTH_MAX {
            return Err(Finding::new(at, format!("it is nested more than {DEPTH_MAX} deep")));
        }
        let plain = |text: &str| What::Text { text: text.into(), plain: true };
        let what = match value.get_ref() {
            DeValue::String(text) => return Ok(Node::text(at, text.as_ref())),
            DeValue::Table(table) => return self.table(at, table, depth + 1),
            DeValue::Array(items) => What::List(items.iter().map(|item| self.node(item, depth + 1)).collect::<Result<Vec<_>, _>>()?.into()),
            DeValue::Integer(number) => plain(number.as_str()),
            DeValue::Float(number) => plain(number.as_str()),
            DeValue::Boolean(flag) => plain(if *flag { "true" } else { "false" }),
            DeValue::Datetime(date) => plain(&date.to_string()),
        };
        Ok(Node { at, what })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_node_knows_its_place() {
        let root = read("[a]\nb = \"1\"\nc = [1, true]\n\n[a.d]\ne = 2.5\n").unwrap();
        assert_eq!(root.json(), json!({ "a": { "b": "1", "c": [1, true], "d": { "e": 2.5 } } }));
        let (key, value) = &root.get("a").unwrap().entries().unwrap()[1];
        assert_eq!((key.at.to_string(), value.at.to_string()), ("3:1".to_owned(), "3:5".to_owned()));
        assert_eq!(value.items().unwrap()[1].at.to_string(), "3:9");
    }

    #[test]
    fn what_is_no_toml_is_refused_in_its_place() {
        let finding = read("a = 1\nb = \n").unwrap_err();
        assert_eq!(finding.at.line, 2);
        assert!(read(&format!("a = {}{}", "[".repeat(60), "]".repeat(60))).is_err());
        assert!(read(&" ".repeat(BYTES_MAX + 1)).is_err());
    }
}
