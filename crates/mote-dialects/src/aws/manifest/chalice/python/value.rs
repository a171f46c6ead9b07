//! What an expression is worth, where it says so by itself: texts, numbers, lists, calls with such
//! arguments, and names that stand for one of these.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::super::finding::{Finding, Outcome};
use super::super::super::yaml::Place;
use super::{Token, What};

const DEPTH_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Value {
    pub(in super::super) at: Place,
    pub(in super::super) is: Is,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Is {
    Text(Rc<str>),
    Number(i64),
    Flag(bool),
    None,
    List(Rc<[Value]>),
    Map(Rc<[(Value, Value)]>),
    /// `a.b`, which stands for nothing that is known.
    Name(Rc<str>),
    Call(Rc<Call>),
    /// What only running it would tell.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Call {
    /// What is called: `app.route`.
    pub(in super::super) name: Rc<str>,
    pub(in super::super) arguments: Arguments,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Arguments {
    pub(in super::super) by_place: Vec<Value>,
    pub(in super::super) by_name: Vec<(Rc<str>, Value)>,
    /// Where `*` or `**` brings more of them.
    pub(in super::super) more: Option<Place>,
}

/// What names at the outermost level stand for.
pub(in super::super) type Names = BTreeMap<Rc<str>, Value>;

impl Value {
    pub(in super::super) fn text(&self, wanted: &str) -> Outcome<Rc<str>> {
        match &self.is {
            Is::Text(text) => Ok(text.clone()),
            _ => Err(self.unlike(wanted)),
        }
    }

    pub(in super::super) fn whole(&self, wanted: &str) -> Outcome<i64> {
        match &self.is {
            Is::Number(number) => Ok(*number),
            _ => Err(self.unlike(wanted)),
        }
    }

    pub(in super::super) fn texts(&self, wanted: &str) -> Outcome<Vec<(Place, Rc<str>)>> {
        match &self.is {
            Is::List(items) => items.iter().map(|item| Ok((item.at, item.text(wanted)?))).collect(),
            _ => Err(self.unlike(wanted)),
        }
    }

    pub(in super::super) fn unlike(&self, wanted: &str) -> Finding {
        let found = match &self.is {
            Is::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Is::Number(number) => number.to_string(),
            Is::Flag(flag) => flag.to_string(),
            Is::None => "None".to_owned(),
            Is::List(_) => "a list".to_owned(),
            Is::Map(_) => "a dict".to_owned(),
            Is::Name(name) => format!("{name:.60}"),
            Is::Call(call) => format!("{:.60}(…)", call.name),
            Is::Unknown => "what only running it would tell".to_owned(),
        };
        Finding::new(self.at, format!("{found} stands where {wanted} is wanted; mote reads app.py and does not run it"))
    }
}

impl Arguments {
    /// By its name, or by its place.
    pub(in super::super) fn get(&self, name: &str, place: Option<usize>) -> Option<&Value> {
        let named = self.by_name.iter().find(|(other, _)| &**other == name).map(|(_, value)| value);
        named.or_else(|| self.by_place.get(place?)).filter(|value| value.is != Is::None)
    }
}

/// The whole of some tokens.
pub(in super::super) fn read(tokens: &[Token], names: &Names) -> Value {
    let mut reader = Reader { tokens, next: 0, names, depth: 0 };
    let value = reader.sum();
    let at = tokens.first().map(|token| token.at).unwrap_or_default();
    if reader.next == tokens.len() { value } else { Value { at, is: Is::Unknown } }
}

struct Reader<'t> {
    tokens: &'t [Token],
    next: usize,
    names: &'t Names,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn takes(&mut self, sign: char) -> bool {
        let there = self.peek().is_some_and(|token| token.is(sign));
        self.next += usize::from(there);
        there
    }

    /// Texts may be added up; else it is one term, or unknown as far as the next comma.
    fn sum(&mut self) -> Value {
        let mut value = self.term();
        while self.peek().is_some_and(|token| token.is('+')) {
            self.next += 1;
            let more = self.term();
            value.is = match (&value.is, &more.is) {
                (Is::Text(one), Is::Text(other)) => Is::Text(format!("{one}{other}").into()),
                _ => Is::Unknown,
            };
        }
        if self.ends() {
            return value;
        }
        self.skip();
        Value { at: value.at, is: Is::Unknown }
    }

    fn ends(&self) -> bool {
        self.peek().is_none_or(|token| [',', ')', ']', '}', ':'].iter().any(|sign| token.is(*sign)))
    }

    /// To the comma or the bracket that ends what this is in.
    fn skip(&mut self) {
        let mut open = 0_usize;
        while let Some(token) = self.peek() {
            match token.what {
                What::Sign('(' | '[' | '{') => open += 1,
                What::Sign(')' | ']' | '}') if open == 0 => return,
                What::Sign(')' | ']' | '}') => open -= 1,
                What::Sign(',') if open == 0 => return,
                _ => {}
            }
            self.next += 1;
        }
    }

    fn term(&mut self) -> Value {
        let Some(token) = self.peek() else { return Value { at: Place::default(), is: Is::Unknown } };
        let (at, what) = (token.at, token.what.clone());
        if self.depth >= DEPTH_MAX {
            self.skip();
            return Value { at, is: Is::Unknown };
        }
        self.depth += 1;
        self.next += 1;
        let is = match what {
            What::Text(text) => self.joined(text),
            What::Number(text) => text.replace('_', "").parse().map_or(Is::Unknown, Is::Number),
            What::Word(word) => self.named(&word),
            What::Sign('(') => self.items(')'),
            What::Sign('[') => self.items(']'),
            What::Sign('{') => self.map(),
            What::Sign(_) | What::Worked => {
                self.next -= 1;
                self.skip();
                Is::Unknown
            }
        };
        self.depth -= 1;
        Value { at, is }
    }

    /// Texts that stand side by side are one.
    fn joined(&mut self, first: Rc<str>) -> Is {
        let mut text = first.to_string();
        loop {
            match self.peek().map(|token| &token.what) {
                Some(What::Text(more)) => text.push_str(more),
                Some(What::Worked) => return Is::Unknown,
                _ => return Is::Text(text.into()),
            }
            self.next += 1;
        }
    }

    fn named(&mut self, word: &str) -> Is {
        let mut name = word.to_owned();
        while self.peek().is_some_and(|token| token.is('.'))
            && let Some(part) = self.tokens.get(self.next + 1).and_then(Token::word)
        {
            name.push('.');
            name.push_str(part);
            self.next += 2;
        }
        if self.takes('(') {
            let arguments = self.arguments();
            let map = name.strip_suffix(".get").and_then(|of| self.names.get(of)).map(|value| &value.is);
            return match map {
                Some(Is::Map(entries)) => looked_up(entries, &arguments.by_place),
                _ => Is::Call(Rc::new(Call { name: name.into(), arguments })),
            };
        }
        if let Some(Is::Map(entries)) = self.names.get(name.as_str()).map(|value| &value.is)
            && self.takes('[')
        {
            return match self.items(']') {
                Is::List(keys) if keys.len() == 1 => looked_up(entries, &keys),
                _ => Is::Unknown,
            };
        }
        match name.as_str() {
            "True" => Is::Flag(true),
            "False" => Is::Flag(false),
            "None" => Is::None,
            _ => self.names.get(name.as_str()).map_or(Is::Name(name.into()), |value| value.is.clone()),
        }
    }

    /// Up to the bracket's end. One in round brackets without a comma is itself.
    fn items(&mut self, end: char) -> Is {
        let (mut items, mut commas) = (Vec::new(), false);
        while !self.takes(end) {
            if self.peek().is_none() {
                return Is::Unknown;
            }
            items.push(self.sum());
            let comma = self.takes(',');
            commas |= comma;
            if !comma && !self.peek().is_some_and(|token| token.is(end)) {
                self.skip_to(end);
                return Is::Unknown;
            }
        }
        match items.as_slice() {
            [lone] if end == ')' && !commas => lone.is.clone(),
            _ => Is::List(items.into()),
        }
    }

    /// Sets count as lists.
    fn map(&mut self) -> Is {
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        while !self.takes('}') {
            let key = self.sum();
            if self.takes(':') {
                let value = self.sum();
                entries.push((key, value));
            } else {
                items.push(key);
            }
            if !self.takes(',') && !self.peek().is_some_and(|token| token.is('}')) {
                self.skip_to('}');
                return Is::Unknown;
            }
        }
        if items.is_empty() { Is::Map(entries.into()) } else { Is::List(items.into()) }
    }

    fn skip_to(&mut self, end: char) {
        while self.peek().is_some() {
            self.skip();
            if self.takes(end) || !self.takes(',') {
                return;
            }
        }
    }

    /// Behind the bracket, and its end with them.
    fn arguments(&mut self) -> Arguments {
        let mut all = Arguments::default();
        while !self.takes(')') {
            let Some(token) = self.peek() else { return all };
            let at = token.at;
            if token.is('*') {
                all.more = Some(at);
                self.skip();
            } else if let Some(name) = self.keyword() {
                self.next += 2;
                all.by_name.push((name, self.sum()));
            } else {
                all.by_place.push(self.sum());
            }
            if !self.takes(',') && !self.peek().is_some_and(|token| token.is(')')) {
                all.more = Some(at);
                self.skip_to(')');
                return all;
            }
        }
        all
    }

    /// `name=`, and not `name==`.
    fn keyword(&self) -> Option<Rc<str>> {
        let is = |after: usize| self.tokens.get(self.next + after).is_some_and(|token| token.is('='));
        let name = self.peek().and_then(Token::word)?;
        (is(1) && !is(2)).then(|| name.into())
    }
}

/// `[key]`, or `[key, what it is without]`.
fn looked_up(entries: &[(Value, Value)], keys: &[Value]) -> Is {
    let Some(Is::Text(key)) = keys.first().map(|key| &key.is) else { return Is::Unknown };
    let found = entries.iter().find(|(other, _)| matches!(&other.is, Is::Text(other) if other == key)).map(|(_, value)| value);
    found.or(keys.get(1)).map_or(Is::Unknown, |value| value.is.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let value = |is| Value { at: Place::default(), is };
        let word = |text: &str| value(Is::Text(text.into()));
        let environment = value(Is::Map([(word("B"), word("y"))].into()));
        let known = Names::from([("A".into(), word("x")), ("os.environ".into(), environment)]);
        let lines = super::super::lines(text).unwrap();
        shown(&read(&lines[0].tokens, &known))
    }

    fn shown(value: &Value) -> String {
        let all = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(" ");
        match &value.is {
            Is::Text(text) => format!("{:?}", &**text),
            Is::Number(number) => number.to_string(),
            Is::Flag(flag) => flag.to_string(),
            Is::None => "none".into(),
            Is::List(items) => format!("[{}]", all(items)),
            Is::Map(entries) => {
                format!("{{{}}}", entries.iter().map(|(k, v)| format!("{}:{}", shown(k), shown(v))).collect::<Vec<_>>().join(" "))
            }
            Is::Name(name) => name.to_string(),
            Is::Call(call) => {
                let named: Vec<_> = call.arguments.by_name.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
                let more = if call.arguments.more.is_some() { " *" } else { "" };
                format!("{}({}|{}{more})", call.name, all(&call.arguments.by_place), named.join(" "))
            }
            Is::Unknown => "?".into(),
        }
    }

    #[test]
    fn what_says_what_it_is_worth() {
        for (text, expect) in [
            ("'a' 'b'", "\"ab\""),
            ("'a' + A + 'c'", "\"axc\""),
            ("('a')", "\"a\""),
            ("('a',)", "[\"a\"]"),
            ("['GET', \"POST\", 1_0]", "[\"GET\" \"POST\" 10]"),
            ("{'a': [1], 'b': True,}", "{\"a\":[1] \"b\":true}"),
            ("{'a', 'b'}", "[\"a\" \"b\"]"),
            ("Rate(1, unit=Rate.HOURS)", "Rate(1|unit=Rate.HOURS)"),
            ("chalice.Cron(0, '*', None)", "chalice.Cron(0 \"*\" none|)"),
            ("f(g(1), h=[2],)", "f(g(1|)|h=[2])"),
            ("f(*a, **b)", "f(| *)"),
            ("f(a if b else c, d=1)", "f(?|d=1)"),
            ("f(x for x in y)", "f(?|)"),
            ("f(a == b)", "f(?|)"),
            ("[x for x in y]", "[?]"),
            ("f'{a}'", "?"),
            ("'a' f'{a}'", "?"),
            ("'a' % b", "?"),
            ("os.environ['A']", "?"),
            ("os.environ['B'] + 'z'", "\"yz\""),
            ("os.environ.get('B', 'z')", "\"y\""),
            ("os.environ.get('C', 'z')", "\"z\""),
            ("os.environ.get(c)", "?"),
            ("a.b", "a.b"),
            ("-1", "?"),
            ("lambda: 1", "?"),
            ("A", "\"x\""),
            ("()", "[]"),
        ] {
            assert_eq!(told(text), expect, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(50), "]".repeat(50));
        assert!(told(&deep).contains('?'));
    }
}
