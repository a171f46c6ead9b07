//! The members of a map, worked out as they are asked for, each of the type that is wanted.

use std::rc::Rc;

use super::super::finding::Findings;
use super::{Finding, Node, Outcome, Place, Template};

/// See the module's text.
pub(in super::super) struct Props<'t, 'a> {
    template: &'t Template<'a>,
    pub(in super::super) at: Place,
    node: Option<Node>,
}

pub(in super::super) fn wanted(node: &Node, wants: &str) -> Finding {
    let found = match (node.as_text(), node.items()) {
        (Some(text), _) => format!("{:?}", text.chars().take(60).collect::<String>()),
        (None, Some(_)) => "a list".to_owned(),
        (None, None) => "a map".to_owned(),
    };
    Finding::new(node.at, format!("{found} stands where {wants} is wanted"))
}

impl<'t, 'a> Props<'t, 'a> {
    /// Of a map; of nothing: one without members.
    pub(in super::super) fn of(template: &'t Template<'a>, at: Place, node: Option<&Node>) -> Outcome<Props<'t, 'a>> {
        let node = node.filter(|node| !node.is_null()).cloned();
        // A map that an intrinsic gives.
        let node = match node {
            Some(node) if matches!(node.entries(), Some([(key, _)]) if super::intrinsics::is_one(&key.text)) => template.resolve(&node)?,
            node => node,
        };
        match node {
            Some(node) if node.entries().is_none() => Err(wanted(&node, "a map")),
            node => Ok(Props { template, at: node.as_ref().map_or(at, |node| node.at), node }),
        }
    }

    pub(in super::super) fn template(&self) -> &'t Template<'a> {
        self.template
    }

    /// As it is written.
    pub(in super::super) fn raw(&self, name: &str) -> Option<&Node> {
        self.node.as_ref()?.get(name).filter(|node| !node.is_null())
    }

    pub(in super::super) fn entries(&self) -> &[(super::super::yaml::Key, Node)] {
        self.node.as_ref().and_then(Node::entries).unwrap_or_default()
    }

    pub(in super::super) fn get(&self, name: &str) -> Outcome<Option<Node>> {
        self.raw(name).map_or(Ok(None), |node| self.template.resolve(node))
    }

    pub(in super::super) fn text(&self, name: &str) -> Outcome<Option<(Place, Rc<str>)>> {
        let node = self.get(name)?;
        node.map(|node| Ok((node.at, node.as_text().ok_or_else(|| wanted(&node, "a text"))?.into()))).transpose()
    }

    pub(in super::super) fn number(&self, name: &str, bounds: std::ops::RangeInclusive<u64>) -> Outcome<Option<u64>> {
        let Some(node) = self.get(name)? else { return Ok(None) };
        let number = node.whole().filter(|number| bounds.contains(number));
        number.map(Some).ok_or_else(|| wanted(&node, &format!("a number from {} to {}", bounds.start(), bounds.end())))
    }

    pub(in super::super) fn flag(&self, name: &str) -> Outcome<Option<bool>> {
        self.get(name)?.map(|node| node.flag().ok_or_else(|| wanted(&node, "true or false"))).transpose()
    }

    /// A list; a lone text is one of one.
    pub(in super::super) fn list(&self, name: &str) -> Outcome<Vec<Node>> {
        let Some(node) = self.get(name)? else { return Ok(Vec::new()) };
        match (node.items(), node.as_text()) {
            (Some(items), _) => Ok(items.to_vec()),
            (None, Some(_)) => Ok(vec![node]),
            (None, None) => Err(wanted(&node, "a list")),
        }
    }

    pub(in super::super) fn texts(&self, name: &str) -> Outcome<Vec<Rc<str>>> {
        self.list(name)?.iter().map(|node| node.as_text().map(Rc::from).ok_or_else(|| wanted(node, "a text"))).collect()
    }

    pub(in super::super) fn map(&self, name: &str) -> Outcome<Props<'t, 'a>> {
        Props::of(self.template, self.at, self.raw(name))
    }

    /// All but these is wrong; those that are `silent` have no effect, which is noted.
    pub(in super::super) fn expect(&self, what: &str, known: &[&str], silent: &[(&str, &str)], found: &mut Findings) {
        for (key, node) in self.entries() {
            let name = &*key.text;
            if known.contains(&name) || node.is_null() {
                continue;
            }
            match silent.iter().find(|(other, _)| *other == name) {
                Some((_, why)) => found.note(key.at, format!("{name} of {what} has no effect: {why}")),
                None => found.wrong(key.at, format!("mote does not honour {name} of {what}")),
            }
        }
    }
}
