//! `${source:address, fallback}` in a serverless.yml, worked out to what it stands for.
//!
//! What is no variable of Serverless (`${AWS::Region}`) stays for CloudFormation's intrinsics.

use std::cell::Cell;
use std::rc::Rc;

use super::super::Ground;
use super::super::finding::{Finding, Outcome};
use super::super::yaml::{self, Node, Place, What};

const STEPS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;
const FILES_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 16 << 10;
/// So much of a text is looked at in a step.
const STEP_BYTES: usize = 1 << 10;
const SOURCES: [&str; 12] = ["self:", "opt:", "env:", "file(", "sls:", "param:", "aws:", "ssm:", "s3:", "cf:", "cf(", "secrets:"];

/// See the module's text.
pub(super) struct Variables<'a> {
    root: &'a Node,
    ground: &'a Ground<'a>,
    steps: Cell<usize>,
    files: Cell<usize>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(root: &'a Node, ground: &'a Ground<'a>) -> Variables<'a> {
        Variables { root, ground, steps: Cell::new(0), files: Cell::new(0) }
    }

    /// With all variables in it worked out.
    pub(super) fn expand(&self, node: &Node) -> Outcome<Node> {
        self.within(node, 0)
    }

    /// As it was set, as the provider has it, or `dev`.
    pub(super) fn stage(&self) -> Outcome<Rc<str>> {
        if let Some(set) = self.ground.said.values.get("stage") {
            return Ok(set.as_str().into());
        }
        let Some(node) = self.root.get("provider").and_then(|provider| provider.get("stage")) else { return Ok("dev".into()) };
        Ok(self.within(node, 1)?.as_text().unwrap_or("dev").into())
    }

    fn within(&self, node: &Node, depth: usize) -> Outcome<Node> {
        self.steps.set(self.steps.get() + 1);
        // Maps and lists are bounded as they are read.
        if depth > DEPTH_MAX * 2 || self.steps.get() > STEPS_MAX * 10 {
            return Err(Finding::new(node.at, "its variables go round in a ring, or come to no end"));
        }
        let what = match &node.what {
            What::Text { text, .. } if text.contains("${") => return self.text(node, text, depth),
            What::Text { .. } => return Ok(node.clone()),
            What::List(items) => What::List(items.iter().map(|item| self.within(item, depth + 1)).collect::<Outcome<Vec<_>>>()?.into()),
            What::Map(entries) => {
                let expand = |(key, node): &(yaml::Key, Node)| Ok((key.clone(), self.within(node, depth + 1)?));
                What::Map(entries.iter().map(expand).collect::<Outcome<Vec<_>>>()?.into())
            }
        };
        Ok(Node { at: node.at, what })
    }

    /// From the innermost one outwards, which is the last that begins.
    fn text(&self, node: &Node, text: &str, depth: usize) -> Outcome<Node> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Finding::new(node.at, format!("a text with variables in it has more than {TEXT_BYTES_MAX} bytes")));
        }
        let (mut text, mut end) = (text.to_owned(), text.len());
        for _ in 0..STEPS_MAX {
            self.steps.set(self.steps.get() + text.len().div_ceil(STEP_BYTES));
            if self.steps.get() > STEPS_MAX * 10 {
                return Err(Finding::new(node.at, "its variables take more work than a manifest may make"));
            }
            let Some(begin) = text.get(..end).and_then(|before| before.rfind("${")) else { break };
            let inner = text.get(begin + 2..).and_then(|rest| rest.split_once('}')).map(|(inner, _)| inner.to_owned());
            end = begin;
            let Some(inner) = inner.filter(|inner| SOURCES.iter().any(|source| inner.trim_start().starts_with(source))) else { continue };
            let value = self.value(node.at, &inner, depth)?;
            let behind = begin + inner.len() + 3;
            if begin == 0 && behind == text.len() {
                return Ok(Node { at: node.at, what: value.what });
            }
            let part =
                value.as_text().ok_or_else(|| Finding::new(node.at, format!("${{{inner:.80}}} is no text, and stands within one")))?;
            if text.len() + part.len() > TEXT_BYTES_MAX {
                return Err(Finding::new(node.at, format!("the text that comes of it has more than {TEXT_BYTES_MAX} bytes")));
            }
            text.replace_range(begin..behind, part);
        }
        Ok(Node { at: node.at, what: What::Text { text: text.into(), plain: false } })
    }

    /// The first of the alternatives that there is.
    fn value(&self, at: Place, inner: &str, depth: usize) -> Outcome<Node> {
        for one in inner.split(',').map(str::trim) {
            let literal = one.strip_prefix(['\'', '"']).and_then(|one| one.strip_suffix(['\'', '"']));
            if let Some(literal) = literal {
                return Ok(Node::text(at, literal));
            }
            if let Some(found) = self.find(at, one, depth)? {
                return Ok(found);
            }
        }
        let hint = match inner.trim() {
            opt if opt.starts_with("opt:") => "; give it by `--set NAME=VALUE`",
            env if env.starts_with("env:") => "; it is a variable of whoever deploys",
            _ => "",
        };
        Err(Finding::new(at, format!("there is nothing that ${{{inner:.80}}} stands for{hint}")))
    }

    fn find(&self, at: Place, one: &str, depth: usize) -> Outcome<Option<Node>> {
        let values = &self.ground.said.values;
        let set = |name: &str| values.get(name).map(|value| Node::text(at, value.as_str()));
        if let Some(rest) = one.strip_prefix("file(") {
            return self.file(at, rest, depth);
        }
        match one.split_once(':') {
            Some(("self", path)) => self.walk(self.root.clone(), path, depth),
            Some(("opt", name)) => Ok(set(name)),
            Some(("env", _)) => Ok(set(one)),
            Some(("sls", "stage")) => self.stage().map(|stage| Some(Node::text(at, stage))),
            Some(("aws", "region")) => Ok(Some(Node::text(at, self.ground.region()))),
            Some(("aws", "accountId")) => Ok(Some(Node::text(at, self.ground.account()))),
            Some(("param", name)) => {
                let stage = self.stage()?;
                let params = |group: &str| self.root.get("params").and_then(|params| params.get(group)?.get(name));
                match (set(name), params(&stage).or_else(|| params("default"))) {
                    (Some(set), _) => Ok(Some(set)),
                    (None, Some(node)) => self.within(node, depth + 1).map(Some),
                    (None, None) => Ok(None),
                }
            }
            _ => Err(Finding::new(at, format!("mote does not work out ${{{one:.80}}}"))),
        }
    }

    /// `file(PATH)` or `file(PATH):KEY.KEY`, of the same folder.
    fn file(&self, at: Place, rest: &str, depth: usize) -> Outcome<Option<Node>> {
        let (path, key) = rest.split_once(')').ok_or_else(|| Finding::new(at, "a file's name ends with `)`"))?;
        self.files.set(self.files.get() + 1);
        if self.files.get() > FILES_MAX {
            return Err(Finding::new(at, format!("files are read more than {FILES_MAX} times")));
        }
        let plain = path.trim().trim_start_matches("./");
        if ![".yml", ".yaml", ".json"].iter().any(|ending| plain.ends_with(ending)) {
            return Err(Finding::new(at, format!("{path:.80}: mote reads files of YAML and JSON alone")));
        }
        let Some(text) = self.ground.bundle.text(plain) else { return Ok(None) };
        let text = text.map_err(|error| Finding::new(at, error.detail().to_owned()))?;
        let Some(root) = yaml::read(text).map_err(|finding| Finding::new(at, format!("{plain}:{}: {}", finding.at, finding.what)))? else {
            return Ok(None);
        };
        match key.strip_prefix(':') {
            Some(key) => self.walk(root, key, depth),
            None => self.within(&root, depth + 1).map(Some),
        }
    }

    fn walk(&self, root: Node, path: &str, depth: usize) -> Outcome<Option<Node>> {
        let mut node = root;
        for key in path.split('.').filter(|key| !key.is_empty()) {
            if node.as_text().is_some_and(|text| text.contains("${")) {
                node = self.within(&node, depth + 1)?;
            }
            let next = match node.items() {
                Some(items) => key.parse().ok().and_then(|at: usize| items.get(at)),
                None => node.get(key),
            };
            match next {
                Some(next) => node = next.clone(),
                None => return Ok(None),
            }
        }
        if node.is_null() { Ok(None) } else { self.within(&node, depth + 1).map(Some) }
    }
}
