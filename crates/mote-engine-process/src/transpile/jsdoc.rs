//! The comment above a JavaScript function: its summary, and the types of `@param`.

use std::collections::HashMap;

use oxc::allocator::Allocator;
use oxc::ast::ast::Statement;
use oxc::parser::Parser;
use oxc::span::SourceType;
use serde_json::{Map, Value};

use super::types::Types;

const TYPE_CHARS_MAX: usize = 200;
const SUMMARY_CHARS_MAX: usize = 1000;

#[derive(Default)]
pub(super) struct JsDoc {
    pub(super) summary: String,
    pub(super) returns: String,
    parameters: HashMap<String, Documented>,
}

struct Documented {
    kind: Map<String, Value>,
    optional: bool,
}

impl JsDoc {
    pub(super) fn parse(comment: &str) -> JsDoc {
        let text = comment.trim_start_matches("/**").trim_end_matches("*/");
        let lines = text.lines().map(|line| line.trim().trim_start_matches('*').trim());
        let mut doc = JsDoc::default();
        let mut summary: Vec<&str> = Vec::new();
        let mut summary_open = true;
        for line in lines {
            if let Some(tag) = line.strip_prefix('@') {
                summary_open = false;
                doc.tag(tag);
            } else if summary_open && (!line.is_empty() || summary.is_empty()) {
                summary.extend((!line.is_empty()).then_some(line));
            } else {
                summary_open = false;
            }
        }
        doc.summary = summary.join(" ").chars().take(SUMMARY_CHARS_MAX).collect();
        doc
    }

    fn tag(&mut self, tag: &str) {
        let (name, rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let (kind, rest) = braced(rest.trim_start());
        match name {
            "returns" | "return" => self.returns = kind.chars().take(TYPE_CHARS_MAX).collect(),
            "param" | "arg" | "argument" => {
                let word = rest.trim_start();
                let (word, in_brackets) = match word.strip_prefix('[') {
                    Some(inner) => (inner.split([']', '=']).next().unwrap_or_default(), true),
                    None => (word.split_whitespace().next().unwrap_or_default(), false),
                };
                // `options.limit` documents the destructured `limit`.
                let name = word.rsplit('.').next().unwrap_or_default().trim().to_owned();
                let optional = in_brackets || kind.ends_with('=');
                self.parameters.insert(name, Documented { kind: read(kind), optional });
            }
            _ => {}
        }
    }

    /// Adds what the comment knows to a parameter that the code says nothing about.
    pub(super) fn apply(&self, name: &str, parameter: &mut Map<String, Value>) {
        let Some(documented) = self.parameters.get(name) else { return };
        for (key, value) in &documented.kind {
            parameter.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if documented.optional {
            parameter.insert("required".into(), false.into());
        }
    }
}

/// `{a: {b}} rest` → `a: {b}` and ` rest`.
fn braced(text: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { ("", text) } else { (text.get(1..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()) };
        }
    }
    ("", text)
}

/// JSDoc's types are nearly TypeScript's: `?number` and `number=` aside, that parser reads them.
fn read(kind: &str) -> Map<String, Value> {
    let kind = kind.trim().trim_end_matches('=').trim_start_matches(['!', '*']);
    let (kind, nullable) = kind.strip_prefix('?').map_or((kind, false), |rest| (rest, true));
    if kind.is_empty() || kind.len() > TYPE_CHARS_MAX {
        return Map::new();
    }
    let source = format!("type T = {}{};", kind, if nullable { " | null" } else { "" });
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &source, SourceType::ts()).parse();
    let [statement] = &parsed.program.body[..] else { return Map::new() };
    match statement {
        Statement::TSTypeAliasDeclaration(alias) => Types::default().read(&alias.type_annotation),
        _ => Map::new(),
    }
}
