//! A CloudFormation template: its parameters, mappings and conditions, and what its intrinsics come to.
//!
//! Worked out where a property is asked for, so that what nobody reads may say what it likes. Nothing
//! of it is made as a stack: a reference to a resource is the name or the ARN that mote has for it.
//! What the intrinsics mean: [`intrinsics`]; what resources are called: [`resources`].

mod conditions;
mod intrinsics;
mod props;
pub(super) mod resources;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::Ground;
use super::finding::{Finding, Findings, Outcome};
use super::yaml::{Node, Place, What};

pub(super) use self::props::{Props, wanted};
use self::resources::Resource;

/// Of what is being worked out, one within the other.
const DEPTH_MAX: usize = 200;
/// Of all together.
const STEPS_MAX: usize = 1_000_000;
/// Of a text that is put together.
const TEXT_BYTES_MAX: usize = 16 << 10;
const PARAMETER_BYTES_MAX: usize = 4096;

/// See the module's text.
pub(super) struct Template<'a> {
    pub(super) ground: &'a Ground<'a>,
    parameters: HashMap<&'a str, Node>,
    mappings: Option<&'a Node>,
    conditions: Option<&'a Node>,
    pub(super) resources: BTreeMap<&'a str, Resource<'a>>,
    /// `None`: it is being judged.
    judged: RefCell<HashMap<&'a str, Option<bool>>>,
    named: RefCell<HashMap<&'a str, Rc<str>>>,
    depth: Cell<usize>,
    steps: Cell<usize>,
}

impl<'a> Template<'a> {
    pub(super) fn new(root: &'a Node, ground: &'a Ground<'a>, found: &mut Findings) -> Template<'a> {
        let mut template = Template {
            ground,
            parameters: HashMap::new(),
            mappings: root.get("Mappings"),
            conditions: root.get("Conditions"),
            resources: BTreeMap::new(),
            judged: RefCell::default(),
            named: RefCell::default(),
            depth: Cell::new(0),
            steps: Cell::new(0),
        };
        for (key, declared) in root.get("Parameters").and_then(Node::entries).unwrap_or_default() {
            let value = found.keep(parameter(key.at, &key.text, declared, ground));
            template.parameters.extend(value.map(|value| (&*key.text, value)));
        }
        for (key, node) in root.get("Resources").and_then(Node::entries).unwrap_or_default() {
            let wanted = found.keep(template.is_wanted(node)).unwrap_or_default();
            if let Some(resource) = found.keep(Resource::read(key, node)).filter(|_| wanted) {
                template.resources.insert(&key.text, resource);
            }
        }
        template
    }

    /// Whether the condition of a resource holds, if it has one.
    fn is_wanted(&self, resource: &'a Node) -> Outcome<bool> {
        let Some(condition) = resource.get("Condition") else { return Ok(true) };
        self.holds(condition.at, condition.as_text().ok_or_else(|| wanted(condition, "a condition's name"))?)
    }

    /// With all intrinsics in it worked out; `None`: it is `AWS::NoValue`.
    pub(super) fn resolve(&self, node: &Node) -> Outcome<Option<Node>> {
        let _within = self.deeper(node.at)?;
        Ok(Some(match &node.what {
            What::Text { .. } => node.clone(),
            What::List(items) => {
                let items = items.iter().filter_map(|item| self.resolve(item).transpose()).collect::<Outcome<Vec<_>>>()?;
                Node { at: node.at, what: What::List(items.into()) }
            }
            What::Map(entries) => match &**entries {
                [(key, inner)] if intrinsics::is_one(&key.text) => return self.call(key, inner),
                entries => {
                    let resolved =
                        |(key, inner): &(super::yaml::Key, Node)| Some(self.resolve(inner).transpose()?.map(|node| (key.clone(), node)));
                    Node::map(node.at, entries.iter().filter_map(resolved).collect::<Outcome<Vec<_>>>()?)
                }
            },
        }))
    }

    fn deeper(&self, at: Place) -> Outcome<Within<'_>> {
        self.depth.set(self.depth.get() + 1);
        let within = Within(&self.depth);
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > STEPS_MAX {
            return Err(Finding::new(at, "working out the template's intrinsics comes to no end"));
        }
        match self.depth.get() > DEPTH_MAX {
            true => Err(Finding::new(at, "too many references stand one within the other, or they go round in a ring")),
            false => Ok(within),
        }
    }
}

struct Within<'a>(&'a Cell<usize>);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// As it was set, or its default.
fn parameter(at: Place, name: &str, declared: &Node, ground: &Ground<'_>) -> Outcome<Node> {
    let kind = declared.get("Type").and_then(Node::as_text).unwrap_or("String");
    if kind.starts_with("AWS::SSM::") {
        return Err(Finding::new(at, format!("the parameter {name} is of {kind}: mote has no parameter store")));
    }
    let value = match (ground.said.values.get(name), declared.get("Default")) {
        (Some(set), _) => Node::text(at, set.as_str()),
        (None, Some(default)) => default.clone(),
        (None, None) => {
            return Err(Finding::new(at, format!("the parameter {name} has no Default and was not set: add `--set {name}=VALUE`")));
        }
    };
    let text = value.as_text().ok_or_else(|| wanted(&value, "a text or a number"))?;
    if text.len() > PARAMETER_BYTES_MAX {
        return Err(Finding::new(at, format!("the parameter {name} has {} bytes, and may have {PARAMETER_BYTES_MAX}", text.len())));
    }
    if let Some(allowed) = declared.get("AllowedValues").and_then(Node::items)
        && !allowed.iter().any(|one| one.as_text() == Some(text))
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Node::as_text).collect();
        return Err(Finding::new(at, format!("the parameter {name} is {text:?}, and may be {}", allowed.join(", "))));
    }
    if kind == "CommaDelimitedList" || kind.starts_with("List<") {
        let items = text.split(',').map(|item| Node::text(at, item.trim())).collect::<Vec<_>>();
        return Ok(Node { at, what: What::List(items.into()) });
    }
    Ok(value)
}
