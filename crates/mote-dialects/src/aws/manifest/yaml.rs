//! YAML as a tree in which every node knows its line and column; JSON is YAML too.
//!
//! Bounded in bytes, depth and nodes, those counted that an alias repeats. CloudFormation's short
//! forms become its long ones here (`!Ref a` is `Ref: a`), so that nobody else has to know them. Not
//! here: what anything means.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::finding::Finding;

pub(super) const BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 64;
/// A long text counts as several.
const NODES_MAX: usize = 100_000;
const NODE_BYTES: usize = 64;

/// Where it begins, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// `plain`: without quotes, so that it may be a number or a truth value.
    Text {
        text: Rc<str>,
        plain: bool,
    },
    List(Rc<[Node]>),
    /// In the order in which it is written; no key twice.
    Map(Rc<[(Key, Node)]>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: Rc<str>,
}

impl Node {
    pub(super) fn text(at: Place, text: impl Into<Rc<str>>) -> Node {
        Node { at, what: What::Text { text: text.into(), plain: false } }
    }

    pub(super) fn map(at: Place, entries: Vec<(Key, Node)>) -> Node {
        Node { at, what: What::Map(entries.into()) }
    }

    pub(super) fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.what {
            What::Map(entries) => Some(entries),
            What::Text { .. } | What::List(_) => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Node]> {
        match &self.what {
            What::List(items) => Some(items),
            What::Text { .. } | What::Map(_) => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.what {
            What::Text { text, .. } => Some(text),
            What::List(_) | What::Map(_) => None,
        }
    }

    /// Of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| &*name.text == key).map(|(_, node)| node)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.what, What::Text { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// `true` in quotes counts as well: templates pass truth values as texts.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.as_text()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// The same of numbers.
    pub(super) fn whole(&self) -> Option<u64> {
        self.as_text()?.parse().ok()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match &self.what {
            What::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, node)| (key.text.to_string(), node.json())).collect())
            }
            What::List(items) => items.iter().map(Node::json).collect(),
            What::Text { .. } if self.is_null() => serde_json::Value::Null,
            What::Text { text, plain: true } => match (self.flag(), text.parse::<i64>(), text.parse::<f64>()) {
                (Some(flag), ..) => flag.into(),
                (_, Ok(number), _) => number.into(),
                // `1e999` is infinite, and no number of JSON; `.inf` and `nan` are words.
                (_, _, Ok(number)) if number.is_finite() && text.bytes().all(|b| !b.is_ascii_alphabetic() || b == b'e') => number.into(),
                _ => (&**text).into(),
            },
            What::Text { text, .. } => (&**text).into(),
        }
    }
}

/// The only document of a text. `None`: there is nothing in it.
pub(super) fn read(text: &str) -> Result<Option<Node>, Finding> {
    if text.len() > BYTES_MAX {
        return Err(Finding::new(Place::default(), format!("it has {} bytes, and may have {BYTES_MAX}", text.len())));
    }
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = event.map_err(|error| Finding::new(place(*error.marker()), error.info().to_owned()))?;
        reader.take(event, span)?;
    }
    Ok(reader.root)
}

fn place(marker: saphyr_parser::Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

#[derive(Default)]
struct Reader {
    root: Option<Node>,
    open: Vec<Open>,
    nodes: usize,
    /// With how many nodes each has in it.
    anchors: HashMap<usize, (Node, usize)>,
}

/// A list or a map whose end has not come.
struct Open {
    at: Place,
    tag: Option<String>,
    anchor: usize,
    /// Nodes before it.
    before: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map(Entries),
}

/// Of a map whose end has not come.
#[derive(Default)]
struct Entries {
    /// `None`: merged in, and written later on.
    all: Vec<Option<(Key, Node)>>,
    /// Where each key's is, and whether it was merged in.
    known: HashMap<Rc<str>, (usize, bool)>,
    /// A key whose value has not come.
    waiting: Option<Key>,
}

impl Entries {
    fn put(&mut self, node: Node) -> Result<(), Finding> {
        match self.waiting.take() {
            None => {
                let Some(text) = node.as_text() else { return Err(Finding::new(node.at, "a key is a text")) };
                self.waiting = Some(Key { at: node.at, text: text.into() });
                Ok(())
            }
            Some(key) if &*key.text == "<<" => self.merge(&node),
            Some(key) => self.write(key, node),
        }
    }

    fn write(&mut self, key: Key, node: Node) -> Result<(), Finding> {
        match self.known.insert(key.text.clone(), (self.all.len(), false)) {
            Some((_, false)) => return Err(Finding::new(key.at, format!("the key {:?} is there twice", &*key.text))),
            // What was merged in yields to what is written.
            Some((merged, true)) => self.all.get_mut(merged).into_iter().for_each(|entry| *entry = None),
            None => {}
        }
        self.all.push(Some((key, node)));
        Ok(())
    }

    /// `<<: *other`: its entries, where there are none of these keys.
    fn merge(&mut self, from: &Node) -> Result<(), Finding> {
        let maps = from.items().unwrap_or_else(|| std::slice::from_ref(from));
        for map in maps {
            let other = map.entries().ok_or_else(|| Finding::new(map.at, "`<<` takes a map, or a list of maps"))?;
            for entry in other {
                if !self.known.contains_key(&entry.0.text) {
                    self.known.insert(entry.0.text.clone(), (self.all.len(), true));
                    self.all.push(Some(entry.clone()));
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Finding> {
        let at = place(span.start);
        match event {
            Event::SequenceStart(anchor, tag) => self.open(at, tag.as_deref(), anchor, Kind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => self.open(at, tag.as_deref(), anchor, Kind::Map(Entries::default())),
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Scalar(text, style, anchor, tag) => {
                let nodes = 1 + text.len() / NODE_BYTES;
                self.count(nodes, at)?;
                let plain = style == ScalarStyle::Plain;
                let node = tagged(Node { at, what: What::Text { text: text.into(), plain } }, short(tag.as_deref()));
                self.remember(anchor, &node, nodes);
                self.put(node)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let (node, nodes) = known.ok_or_else(|| Finding::new(at, "the alias stands for a node that holds it"))?;
                self.count(nodes, at)?;
                self.put(node)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err(Finding::new(at, "a second document begins; one is wanted")),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, at: Place, tag: Option<&Tag>, anchor: usize, kind: Kind) -> Result<(), Finding> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Finding::new(at, format!("it is nested more than {DEPTH_MAX} deep")));
        }
        self.count(1, at)?;
        self.open.push(Open { at, tag: short(tag), anchor, before: self.nodes - 1, kind });
        Ok(())
    }

    fn close(&mut self, at: Place) -> Result<(), Finding> {
        let open = self.open.pop().ok_or_else(|| Finding::new(at, "something ends that has not begun"))?;
        let what = match open.kind {
            Kind::List(items) => What::List(items.into()),
            Kind::Map(entries) => What::Map(entries.all.into_iter().flatten().collect()),
        };
        let node = tagged(Node { at: open.at, what }, open.tag);
        self.remember(open.anchor, &node, self.nodes - open.before);
        self.put(node)
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Finding> {
        self.nodes += nodes;
        match self.nodes > NODES_MAX {
            true => Err(Finding::new(at, format!("it has more than {NODES_MAX} parts"))),
            false => Ok(()),
        }
    }

    fn remember(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
    }

    fn put(&mut self, node: Node) -> Result<(), Finding> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => entries.put(node)?,
        }
        Ok(())
    }
}

/// `!Sub`, without the mark; what YAML's own tags say, plain texts say already.
fn short(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| tag.handle == "!" && !tag.suffix.is_empty()).map(|tag| tag.suffix.clone())
}

/// `!GetAtt a.b` is `Fn::GetAtt: a.b`.
fn tagged(node: Node, tag: Option<String>) -> Node {
    let Some(tag) = tag else { return node };
    let name = match tag.as_str() {
        "Ref" | "Condition" => tag,
        _ => format!("Fn::{tag}"),
    };
    let at = node.at;
    Node::map(at, vec![(Key { at, text: name.into() }, node)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expect: serde_json::Value) {
        assert_eq!(read(text).unwrap().unwrap().json(), expect, "{text}");
    }

    fn refused(text: &str, expect: &str) {
        let finding = read(text).unwrap_err();
        assert_eq!(format!("{} {}", finding.at, finding.what), expect, "{text}");
    }

    #[test]
    fn texts_numbers_and_truth_values() {
        check("a: 1\nb: '1'\nc: true\nd: ~\ne: 1.5\nf: no\ng: 1e999\nh: 2012-10-17\ni: 010\n", {
            json!({"a": 1, "b": "1", "c": true, "d": null, "e": 1.5, "f": "no", "g": "1e999", "h": "2012-10-17", "i": 10})
        });
        check("{\"a\": [1, {\"b\": \"c\"}]}", json!({"a": [1, {"b": "c"}]}));
        check("a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!({"a": "x\ny\n", "b": "x y"}));
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("# nothing\n").unwrap(), None);
    }

    #[test]
    fn short_forms_are_long_ones() {
        check("a: !Ref B\nb: !GetAtt C.Arn\nc: !Sub '${D}'\nd: !Join ['-', [!Ref E, f]]\ne: !Condition F", {
            json!({
                "a": {"Ref": "B"},
                "b": {"Fn::GetAtt": "C.Arn"},
                "c": {"Fn::Sub": "${D}"},
                "d": {"Fn::Join": ["-", [{"Ref": "E"}, "f"]]},
                "e": {"Condition": "F"},
            })
        });
    }

    #[test]
    fn aliases_and_merges() {
        check("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd:\n  y: 4\n  <<: *a\n", {
            json!({"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}, "d": {"x": 1, "y": 4}})
        });
        check("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b], z: 4}\n", {
            json!({"a": {"x": 1}, "b": {"x": 2, "z": 3}, "c": {"x": 1, "z": 4}})
        });
        refused("a: &a {x: 1}\nb: {<<: *a, x: 2, x: 3}\n", "2:19 the key \"x\" is there twice");
        refused("a: {<<: b}\n", "1:9 `<<` takes a map, or a list of maps");
    }

    #[test]
    fn every_node_knows_its_place() {
        let root = read("a:\n  - b: c\n    d: !Ref e\n").unwrap().unwrap();
        let item = &root.get("a").unwrap().items().unwrap()[0];
        let (key, value) = &item.entries().unwrap()[1];
        assert_eq!((key.at.to_string().as_str(), value.at.line, item.at.to_string().as_str()), ("3:5", 3, "2:5"));
    }

    #[test]
    fn what_is_no_yaml_or_too_much_of_it_is_refused_in_its_place() {
        refused("a: b\na: c\n", "2:1 the key \"a\" is there twice");
        refused("a: 1\n---\nb: 2\n", "2:1 a second document begins; one is wanted");
        refused("[a]: 1\n", "1:1 a key is a text");
        refused("a: &x [*x]\n", "1:8 the alias stands for a node that holds it");
        refused(&"[".repeat(DEPTH_MAX + 1), "1:65 it is nested more than 64 deep");
        let bomb = (1..9).fold("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned(), |text, n| {
            let alias = format!("*a{},", n - 1).repeat(10);
            format!("{text}a{n}: &a{n} [{alias}]\n")
        });
        refused(&bomb, "5:38 it has more than 100000 parts");
        assert!(read(&" ".repeat(BYTES_MAX + 1)).is_err());
        assert!(read("a: [b\n").is_err() && read("a: b: c\n").is_err());
    }
}
