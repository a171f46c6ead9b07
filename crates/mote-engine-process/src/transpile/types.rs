//! From a TypeScript type to the words that the Node runner converts by: `type`, `form`, `items`,
//! `enum`, `any`, `nullable`. A type that says nothing about one value is the empty object.

use std::collections::HashMap;

use oxc::ast::ast::{
    Declaration, Expression, TSEnumDeclaration, TSLiteral, TSSignature, TSType, TSTypeName, TSTypeParameterInstantiation, UnaryOperator,
};
use serde_json::{Map, Value, json};

use super::literal::literal;

/// A type that needs more steps than this speaks of itself.
const DEPTH_MAX: usize = 12;

#[derive(Default)]
pub(super) struct Types<'p, 'a> {
    named: HashMap<&'p str, Named<'p, 'a>>,
}

#[derive(Clone, Copy)]
enum Named<'p, 'a> {
    Alias(&'p TSType<'a>),
    Interface(&'p [TSSignature<'a>]),
    Enum(&'p TSEnumDeclaration<'a>),
}

#[derive(Clone, Copy)]
pub(super) struct Member<'p, 'a> {
    pub(super) kind: Option<&'p TSType<'a>>,
    pub(super) optional: bool,
}

impl<'p, 'a> Types<'p, 'a> {
    pub(super) fn note(&mut self, declaration: &'p Declaration<'a>) {
        match declaration {
            Declaration::TSTypeAliasDeclaration(alias) => {
                self.named.insert(alias.id.name.as_str(), Named::Alias(&alias.type_annotation));
            }
            Declaration::TSInterfaceDeclaration(interface) => {
                self.named.insert(interface.id.name.as_str(), Named::Interface(&interface.body.body));
            }
            Declaration::TSEnumDeclaration(listed) => {
                self.named.insert(listed.id.name.as_str(), Named::Enum(listed));
            }
            _ => {}
        }
    }

    pub(super) fn read(&self, kind: &TSType<'a>) -> Map<String, Value> {
        self.at_depth(kind, 0)
    }

    /// The property of an object type, so that a destructured parameter has its types.
    pub(super) fn member(&self, kind: &'p TSType<'a>, name: &str) -> Option<Member<'p, 'a>> {
        let mut kind = kind;
        for _ in 0..DEPTH_MAX {
            let members = match kind {
                TSType::TSTypeLiteral(literal) => &literal.members[..],
                TSType::TSParenthesizedType(inner) => {
                    kind = &inner.type_annotation;
                    continue;
                }
                TSType::TSTypeReference(reference) => match self.named.get(name_of(&reference.type_name)?)? {
                    Named::Alias(inner) => {
                        kind = inner;
                        continue;
                    }
                    Named::Interface(members) => members,
                    Named::Enum(_) => return None,
                },
                _ => return None,
            };
            return members.iter().find_map(|member| match member {
                TSSignature::TSPropertySignature(property) if property.key.static_name().is_some_and(|key| key == name) => {
                    let kind = property.type_annotation.as_ref().map(|annotation| &annotation.type_annotation);
                    Some(Member { kind, optional: property.optional })
                }
                _ => None,
            });
        }
        None
    }

    fn at_depth(&self, kind: &TSType<'a>, depth: usize) -> Map<String, Value> {
        if depth > DEPTH_MAX {
            return Map::new();
        }
        let inner = |kind| self.at_depth(kind, depth + 1);
        match kind {
            TSType::TSNumberKeyword(_) => merge(json!({"type": "number"})),
            TSType::TSStringKeyword(_) | TSType::TSTemplateLiteralType(_) => merge(json!({"type": "string"})),
            TSType::TSBooleanKeyword(_) => merge(json!({"type": "boolean"})),
            TSType::TSBigIntKeyword(_) => merge(json!({"type": "integer", "form": "bigint"})),
            TSType::TSNullKeyword(_) | TSType::TSUndefinedKeyword(_) => merge(json!({"nullable": true})),
            TSType::TSObjectKeyword(_) | TSType::TSTypeLiteral(_) | TSType::TSMappedType(_) | TSType::TSIntersectionType(_) => {
                merge(json!({"type": "object"}))
            }
            TSType::TSArrayType(array) => merge(json!({"type": "array", "items": inner(&array.element_type)})),
            TSType::TSTupleType(_) => merge(json!({"type": "array"})),
            TSType::TSParenthesizedType(wrapped) => inner(&wrapped.type_annotation),
            TSType::TSTypeOperatorType(operated) => inner(&operated.type_annotation),
            TSType::TSLiteralType(one) => literal_type(&one.literal).map(|value| choice(vec![value])).unwrap_or_default(),
            TSType::TSUnionType(union) => union_of(union.types.iter().map(inner).collect()),
            TSType::TSTypeReference(reference) => {
                name_of(&reference.type_name).map(|name| self.named(name, reference.type_arguments.as_deref(), depth)).unwrap_or_default()
            }
            _ => Map::new(),
        }
    }

    fn named(&self, name: &str, arguments: Option<&TSTypeParameterInstantiation<'a>>, depth: usize) -> Map<String, Value> {
        match self.named.get(name) {
            Some(Named::Alias(kind)) => return self.at_depth(kind, depth + 1),
            Some(Named::Interface(_)) => return merge(json!({"type": "object"})),
            Some(Named::Enum(listed)) => return enum_values(listed).map(choice).unwrap_or_default(),
            None => {}
        }
        let first = || arguments.and_then(|list| list.params.first()).map(|kind| self.at_depth(kind, depth + 1)).unwrap_or_default();
        match name {
            "Array" | "ReadonlyArray" => merge(json!({"type": "array", "items": first()})),
            "Record" | "Map" | "Object" => merge(json!({"type": "object"})),
            "Partial" | "Readonly" | "Required" | "NonNullable" => first(),
            "Date" => merge(json!({"type": "string", "form": "date"})),
            "Buffer" | "Uint8Array" | "ArrayBuffer" => merge(json!({"type": "string", "form": "bytes"})),
            "ReadableStream" | "AsyncIterable" | "AsyncIterator" | "AsyncIterableIterator" | "AsyncGenerator" => {
                merge(json!({"type": "string", "form": "stream"}))
            }
            "Number" => merge(json!({"type": "number"})),
            "String" => merge(json!({"type": "string"})),
            "Boolean" => merge(json!({"type": "boolean"})),
            _ => Map::new(),
        }
    }
}

/// An object that `json!` made, as a map.
pub(super) fn merge(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn name_of<'p>(name: &'p TSTypeName<'_>) -> Option<&'p str> {
    match name {
        TSTypeName::IdentifierReference(reference) => Some(reference.name.as_str()),
        _ => None,
    }
}

fn choice(values: Vec<Value>) -> Map<String, Value> {
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        _ => "",
    };
    let mut kinds: Vec<&str> = values.iter().map(kind).collect();
    kinds.dedup();
    let kind = if let [one] = kinds[..] { one } else { "" };
    merge(json!({"type": kind, "enum": values}))
}

fn union_of(mut members: Vec<Map<String, Value>>) -> Map<String, Value> {
    let before = members.len();
    members.retain(|member| !(member.len() == 1 && member.contains_key("nullable")));
    let nullable = members.len() < before || members.iter().any(|member| member.contains_key("nullable"));
    let mut made = if members.iter().any(Map::is_empty) {
        Map::new()
    } else if members.iter().all(|member| member.contains_key("enum")) {
        choice(members.iter().filter_map(|member| member.get("enum")?.as_array()).flatten().cloned().collect())
    } else if members.len() == 1 {
        members.remove(0)
    } else {
        merge(json!({"type": "", "any": members}))
    };
    if nullable && !made.is_empty() {
        made.insert("nullable".into(), true.into());
    }
    made
}

fn literal_type(literal: &TSLiteral<'_>) -> Option<Value> {
    match literal {
        TSLiteral::StringLiteral(text) => Some(text.value.as_str().into()),
        TSLiteral::NumericLiteral(number) => super::literal::number(number.value),
        TSLiteral::BooleanLiteral(boolean) => Some(boolean.value.into()),
        TSLiteral::UnaryExpression(unary) if unary.operator == UnaryOperator::UnaryNegation => match &unary.argument {
            Expression::NumericLiteral(number) => super::literal::number(-number.value),
            _ => None,
        },
        _ => None,
    }
}

/// None if a member's value is known only when the code runs.
fn enum_values(listed: &TSEnumDeclaration<'_>) -> Option<Vec<Value>> {
    let mut next = 0.0;
    let mut values = Vec::new();
    for member in &listed.body.members {
        let value = match &member.initializer {
            Some(expression) => literal(expression)?.0,
            None => super::literal::number(next)?,
        };
        next = value.as_f64().map_or(f64::NAN, |number| number + 1.0);
        values.push(value);
    }
    Some(values)
}
