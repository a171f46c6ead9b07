//! Conditions: by name, or as they are written in a condition.

use super::{Finding, Node, Outcome, Place, Template, wanted};

const FORMS: &str = "a condition: Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition";

impl Template<'_> {
    pub(super) fn holds(&self, at: Place, name: &str) -> Outcome<bool> {
        let known = self.conditions.and_then(Node::entries).unwrap_or_default();
        let Some((key, condition)) = known.iter().find(|(key, _)| &*key.text == name) else {
            return Err(Finding::new(at, format!("there is no condition {name}")));
        };
        let before = self.judged.borrow().get(&*key.text).copied();
        match before {
            Some(Some(holds)) => return Ok(holds),
            Some(None) => return Err(Finding::new(key.at, format!("the condition {name} depends on itself"))),
            None => {}
        }
        self.judged.borrow_mut().insert(&key.text, None);
        let holds = self.judge(condition);
        let mut judged = self.judged.borrow_mut();
        match holds {
            Ok(holds) => drop(judged.insert(&key.text, Some(holds))),
            Err(_) => drop(judged.remove(&*key.text)),
        }
        holds
    }

    fn judge(&self, condition: &Node) -> Outcome<bool> {
        let _within = self.deeper(condition.at)?;
        let Some([(key, inner)]) = condition.entries() else { return Err(wanted(condition, FORMS)) };
        let items = || inner.items().ok_or_else(|| wanted(inner, "a list"));
        match &*key.text {
            "Condition" => self.holds(inner.at, inner.as_text().ok_or_else(|| wanted(inner, "a condition's name"))?),
            "Fn::Equals" => match items()? {
                [one, other] => Ok(self.resolve(one)?.map(|node| node.json()) == self.resolve(other)?.map(|node| node.json())),
                _ => Err(wanted(inner, "a list of two values")),
            },
            "Fn::Not" => match items()? {
                [one] => self.judge(one).map(|holds| !holds),
                _ => Err(wanted(inner, "a list of one condition")),
            },
            "Fn::And" => items()?.iter().try_fold(true, |all, one| Ok(self.judge(one)? && all)),
            "Fn::Or" => items()?.iter().try_fold(false, |any, one| Ok(self.judge(one)? || any)),
            _ => Err(wanted(condition, FORMS)),
        }
    }
}
