//! Filters as a tree of their levels: who wants a topic costs the topic's depth, not the number of filters.

use std::collections::HashMap;
use std::sync::Arc;

/// Subscriptions by filter; each subscriber once for a filter.
pub(crate) struct Tree<V> {
    below: HashMap<Box<str>, Tree<V>>,
    here: Vec<(Arc<str>, V)>,
}

impl<V> Default for Tree<V> {
    fn default() -> Tree<V> {
        Tree { below: HashMap::new(), here: Vec::new() }
    }
}

impl<V> Tree<V> {
    /// True: it was not there before.
    pub(crate) fn insert(&mut self, filter: &str, who: &Arc<str>, value: V) -> bool {
        let mut node = self;
        for level in filter.split('/') {
            node = node.below.entry(level.into()).or_default();
        }
        match node.here.iter_mut().find(|(known, _)| known == who) {
            Some((_, old)) => {
                *old = value;
                false
            }
            None => {
                node.here.push((who.clone(), value));
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, filter: &str, who: &str) {
        let (first, rest) = filter.split_once('/').map_or((filter, None), |(first, rest)| (first, Some(rest)));
        let Some(node) = self.below.get_mut(first) else { return };
        match rest {
            Some(rest) => node.remove(rest, who),
            None => node.here.retain(|(known, _)| &**known != who),
        }
        if node.is_empty() {
            self.below.remove(first);
        }
    }

    /// The subscribers of that very filter.
    pub(crate) fn at(&self, filter: &str) -> &[(Arc<str>, V)] {
        let mut node = self;
        for level in filter.split('/') {
            let Some(below) = node.below.get(level) else { return &[] };
            node = below;
        }
        &node.here
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.below.is_empty() && self.here.is_empty()
    }

    /// Hands over the subscribers of each filter that takes the topic.
    pub(crate) fn visit<'t>(&'t self, topic: &str, taken: &mut impl FnMut(&'t [(Arc<str>, V)])) {
        let own = topic.starts_with('$');
        self.descend(Some(topic), own, taken);
    }

    /// By recursion: a topic has [`mote_core::mqtt::LEVELS_MAX`] levels at most.
    fn descend<'t>(&'t self, topic: Option<&str>, own: bool, taken: &mut impl FnMut(&'t [(Arc<str>, V)])) {
        // A wildcard at the beginning does not mean the broker's own topics.
        if let Some(all) = self.below.get("#").filter(|_| !own) {
            taken(&all.here);
        }
        let Some(topic) = topic else { return taken(&self.here) };
        let (level, rest) = topic.split_once('/').map_or((topic, None), |(level, rest)| (level, Some(rest)));
        for name in [level, "+"] {
            if let Some(node) = self.below.get(name).filter(|_| name != "+" || !own) {
                node.descend(rest, false, taken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mote_core::mqtt::Filter;

    use super::*;

    const FILTERS: &[&str] = &["#", "+", "a", "a/#", "a/+", "a/b", "a/b/#", "+/b", "+/+/c", "/", "/+", "a//c", "$x/#", "+/#"];

    #[test]
    fn takes_what_each_filter_takes() {
        let mut tree = Tree::default();
        for filter in FILTERS {
            tree.insert(filter, &Arc::from(*filter), ());
        }
        for topic in ["a", "a/b", "a/b/c", "b", "b/b", "/", "/x", "a//c", "$x", "$x/y", "a/b/c/d"] {
            let mut found = Vec::new();
            tree.visit(topic, &mut |here| found.extend(here.iter().map(|(who, ())| who.to_string())));
            found.sort();
            let mut expect: Vec<String> =
                FILTERS.iter().filter(|filter| Filter::new(filter).unwrap().matches(topic)).map(|filter| (*filter).to_owned()).collect();
            expect.sort();
            assert_eq!(found, expect, "{topic}");
        }
    }

    #[test]
    fn leaves_nothing_behind() {
        let mut tree = Tree::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        assert!(tree.insert("a/+/c", &one, 1) && tree.insert("a/+/c", &two, 2) && !tree.insert("a/+/c", &two, 3));
        tree.remove("a/+/c", "one");
        tree.remove("a/b/c", "two");
        assert!(!tree.is_empty());
        tree.remove("a/+/c", "two");
        assert!(tree.is_empty());
    }
}
