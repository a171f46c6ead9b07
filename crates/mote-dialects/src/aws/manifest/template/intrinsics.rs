//! What each intrinsic comes to.

use std::rc::Rc;

use super::super::yaml::{Key, What};
use super::{Finding, Node, Outcome, PARAMETER_BYTES_MAX, Place, TEXT_BYTES_MAX, Template, wanted};

/// Pieces that one text is split into.
const PIECES_MAX: usize = 1000;

pub(super) fn is_one(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

impl Template<'_> {
    pub(super) fn call(&self, key: &Key, inner: &Node) -> Outcome<Option<Node>> {
        let at = inner.at;
        let list = |wants: &'static str| inner.items().ok_or_else(|| wanted(inner, wants));
        match &*key.text {
            "Ref" => self.reference(at, inner.as_text().ok_or_else(|| wanted(inner, "a name"))?),
            "Fn::GetAtt" => self.attribute_of(inner).map(Some),
            "Fn::Sub" => self.substitute(inner).map(Some),
            "Fn::Join" => self.join(inner, list("a separator and a list")?).map(Some),
            "Fn::If" => match list("a condition and two values")? {
                [condition, then, or] => {
                    let name = condition.as_text().ok_or_else(|| wanted(condition, "a condition's name"))?;
                    self.resolve(if self.holds(condition.at, name)? { then } else { or })
                }
                _ => Err(wanted(inner, "a condition and two values")),
            },
            "Fn::FindInMap" => self.find_in_map(inner, list("a mapping and two keys")?).map(Some),
            "Fn::Select" => match list("a number and a list")? {
                [number, list] => {
                    let (number, list) = (self.needed(number)?, self.needed(list)?);
                    let items = list.items().ok_or_else(|| wanted(&list, "a list"))?;
                    let found = number.whole().and_then(|at| items.get(usize::try_from(at).ok()?));
                    found.cloned().map(Some).ok_or_else(|| Finding::new(at, format!("there is no such item in a list of {}", items.len())))
                }
                _ => Err(wanted(inner, "a number and a list")),
            },
            "Fn::Split" => match list("a separator and a text")? {
                [separator, text] => {
                    let (separator, text) = (self.needed_text(separator)?, self.needed_text(text)?);
                    let pieces: Vec<Node> = text.split(&*separator).take(PIECES_MAX + 1).map(|piece| Node::text(at, piece)).collect();
                    if pieces.len() > PIECES_MAX || separator.is_empty() {
                        return Err(Finding::new(at, format!("it is split into more than {PIECES_MAX} pieces, or by nothing")));
                    }
                    Ok(Some(Node { at, what: What::List(pieces.into()) }))
                }
                _ => Err(wanted(inner, "a separator and a text")),
            },
            other => Err(Finding::new(key.at, format!("mote does not work out {other}"))),
        }
    }

    /// With a value.
    pub(super) fn needed(&self, node: &Node) -> Outcome<Node> {
        self.resolve(node)?.ok_or_else(|| Finding::new(node.at, "AWS::NoValue stands where a value is wanted"))
    }

    pub(super) fn needed_text(&self, node: &Node) -> Outcome<Rc<str>> {
        let node = self.needed(node)?;
        node.as_text().map(Rc::from).ok_or_else(|| wanted(&node, "a text"))
    }

    fn reference(&self, at: Place, name: &str) -> Outcome<Option<Node>> {
        let ground = self.ground;
        let pseudo = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => ground.region().to_owned(),
            "AWS::AccountId" => ground.account(),
            "AWS::Partition" => ground.partition().to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::StackName" => ground.project().to_owned(),
            "AWS::StackId" => ground.arn("cloudformation", &format!("stack/{}/0", ground.project())),
            _ => match self.parameters.get(name) {
                Some(value) => return Ok(Some(Node { at, what: value.what.clone() })),
                None => return self.resource(at, name)?.reference(self, at).map(|text| Some(Node::text(at, text))),
            },
        };
        Ok(Some(Node::text(at, pseudo)))
    }

    fn attribute_of(&self, inner: &Node) -> Outcome<Node> {
        let (name, attribute) = match (inner.as_text(), inner.items()) {
            (Some(text), _) => {
                let (name, attribute) = text.split_once('.').ok_or_else(|| wanted(inner, "RESOURCE.ATTRIBUTE"))?;
                (Rc::from(name), Rc::from(attribute))
            }
            (_, Some([name, attribute])) => (self.needed_text(name)?, self.needed_text(attribute)?),
            _ => return Err(wanted(inner, "RESOURCE.ATTRIBUTE")),
        };
        self.attribute(inner.at, &name, &attribute)
    }

    fn attribute(&self, at: Place, name: &str, attribute: &str) -> Outcome<Node> {
        self.resource(at, name)?.attribute(self, at, attribute).map(|text| Node::text(at, text))
    }

    /// `${Name}`, `${Resource.Attribute}`, and `${!Name}`, which stays `${Name}`.
    fn substitute(&self, inner: &Node) -> Outcome<Node> {
        let (text, given) = match (inner.as_text(), inner.items()) {
            (Some(text), _) => (Rc::from(text), None),
            (_, Some([text, given])) => (self.needed_text(text)?, given.entries()),
            _ => return Err(wanted(inner, "a text, or a text and a map")),
        };
        let (mut made, mut rest) = (String::new(), &*text);
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}').ok_or_else(|| Finding::new(inner.at, "a `${` has no `}`"))?;
            made.push_str(before);
            let name = name.trim();
            let given = given.into_iter().flatten().find(|(key, _)| &*key.text == name);
            match (name.strip_prefix('!'), given) {
                (Some(literal), _) => made.extend(["${", literal, "}"]),
                (None, Some((_, value))) => made.push_str(&self.needed_text(value)?),
                (None, None) => made.push_str(&self.named(inner.at, name)?),
            }
            bounded(inner.at, &made)?;
            rest = after;
        }
        made.push_str(rest);
        bounded(inner.at, &made)?;
        Ok(Node::text(inner.at, made))
    }

    fn named(&self, at: Place, name: &str) -> Outcome<Rc<str>> {
        let node = match name.split_once('.') {
            Some((name, attribute)) => Some(self.attribute(at, name, attribute)?),
            None => self.reference(at, name)?,
        };
        let node = node.ok_or_else(|| Finding::new(at, "AWS::NoValue stands where a value is wanted"))?;
        node.as_text().map(Rc::from).ok_or_else(|| wanted(&node, "a text"))
    }

    fn join(&self, inner: &Node, items: &[Node]) -> Outcome<Node> {
        let [separator, list] = items else { return Err(wanted(inner, "a separator and a list")) };
        let (separator, list) = (self.needed_text(separator)?, self.needed(list)?);
        let mut made = String::new();
        for (number, item) in list.items().ok_or_else(|| wanted(&list, "a list"))?.iter().enumerate() {
            if number > 0 {
                made.push_str(&separator);
            }
            made.push_str(item.as_text().ok_or_else(|| wanted(item, "a text"))?);
            bounded(inner.at, &made)?;
        }
        Ok(Node::text(inner.at, made))
    }

    fn find_in_map(&self, inner: &Node, items: &[Node]) -> Outcome<Node> {
        let [name, first, second] = items else { return Err(wanted(inner, "a mapping and two keys")) };
        let (name, first, second) = (self.needed_text(name)?, self.needed_text(first)?, self.needed_text(second)?);
        let found = self.mappings.and_then(|mappings| mappings.get(&name)?.get(&first)?.get(&second));
        found.cloned().ok_or_else(|| Finding::new(inner.at, format!("the mapping {name} has nothing at {first}, {second}")))
    }
}

const _: () = assert!(PARAMETER_BYTES_MAX < TEXT_BYTES_MAX);

fn bounded(at: Place, text: &str) -> Outcome<()> {
    match text.len() > TEXT_BYTES_MAX {
        true => Err(Finding::new(at, format!("the text that comes of it has more than {TEXT_BYTES_MAX} bytes"))),
        false => Ok(()),
    }
}
