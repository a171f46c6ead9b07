//! What each exported function of a file takes, read from its source.
//!
//! Seen are functions and arrows that are exported by name or as default, directly or by a
//! variable, and what is given to `exports` and `module.exports`. Not seen is what only exists when
//! the code runs (`export default wrap(f)`) or lies in another file (`export { f } from './f.js'`). Such a function is not listed, and the runner calls it
//! with one object of all arguments.

use std::collections::HashMap;

use oxc::ast::ast::{
    AssignmentTarget, BindingPattern, Comment, Declaration, ExportDefaultDeclarationKind, Expression, FormalParameters, Function,
    ObjectPropertyKind, Program, Statement, TSType,
};
use oxc::span::GetSpan;
use serde_json::{Map, Value, json};

use super::jsdoc::JsDoc;
use super::literal::literal;
use super::types::{Types, merge};

/// Deeper aliases than this are a circle.
const ALIASES_MAX: usize = 16;

pub(super) fn describe(program: &Program<'_>) -> Map<String, Value> {
    let mut file = File { comments: &program.comments, text: program.source_text, types: Types::default(), locals: HashMap::new() };
    for statement in &program.body {
        file.note(statement);
    }
    let mut found = Map::new();
    for statement in &program.body {
        file.exports(statement, &mut found);
    }
    found
}

/// A function as its source has it; `at` is where a comment on it would be attached.
#[derive(Clone, Copy)]
struct Callable<'p, 'a> {
    at: u32,
    outer: u32,
    parameters: &'p FormalParameters<'a>,
    returns: Option<&'p TSType<'a>>,
}

struct File<'p, 'a> {
    comments: &'p [Comment],
    text: &'p str,
    types: Types<'p, 'a>,
    locals: HashMap<&'p str, Local<'p, 'a>>,
}

#[derive(Clone, Copy)]
enum Local<'p, 'a> {
    Function(Callable<'p, 'a>),
    Alias(&'p str),
}

impl<'p, 'a> File<'p, 'a> {
    /// Names of the top level: functions, variables that hold one, types.
    fn note(&mut self, statement: &'p Statement<'a>) {
        let outer = statement.span().start;
        match statement {
            Statement::ExportDeclaration(export) => self.declare(&export.declaration, outer),
            Statement::ExportDefaultDeclaration(export) => {
                if let ExportDefaultDeclarationKind::FunctionDeclaration(function) = &export.declaration {
                    self.function(function, outer);
                }
            }
            _ => {
                if let Some(declaration) = statement.as_declaration() {
                    self.declare(declaration, outer);
                }
            }
        }
    }

    fn declare(&mut self, declaration: &'p Declaration<'a>, outer: u32) {
        match declaration {
            Declaration::FunctionDeclaration(function) => self.function(function, outer),
            Declaration::VariableDeclaration(variables) => {
                for variable in &variables.declarations {
                    let name = variable.id.get_identifier_name();
                    if let (Some(name), Some(value)) = (name, variable.init.as_ref().and_then(|value| local(value, outer))) {
                        self.locals.insert(name.as_str(), value);
                    }
                }
            }
            other => self.types.note(other),
        }
    }

    fn function(&mut self, function: &'p Function<'a>, outer: u32) {
        if let (Some(id), Some(callable)) = (&function.id, of_function(function, outer)) {
            self.locals.insert(id.name.as_str(), Local::Function(callable));
        }
    }

    fn exports(&self, statement: &'p Statement<'a>, found: &mut Map<String, Value>) {
        let outer = statement.span().start;
        match statement {
            Statement::ExportDefaultDeclaration(export) => match &export.declaration {
                ExportDefaultDeclarationKind::FunctionDeclaration(function) => self.add("default", of_function(function, outer), found),
                other => self.add("default", other.as_expression().and_then(|value| self.resolve(local(value, outer)?)), found),
            },
            Statement::ExportNamedDeclaration(export) => {
                for specifier in &export.specifiers {
                    self.add(specifier.exported.name().as_str(), self.named(specifier.local.name().as_str()), found);
                }
            }
            Statement::ExportDeclaration(export) => match &export.declaration {
                Declaration::FunctionDeclaration(function) => {
                    self.add(function.id.as_ref().map_or("", |id| id.name.as_str()), of_function(function, outer), found);
                }
                Declaration::VariableDeclaration(variables) => {
                    for name in variables.declarations.iter().filter_map(|variable| variable.id.get_identifier_name()) {
                        self.add(name.as_str(), self.named(name.as_str()), found);
                    }
                }
                _ => {}
            },
            Statement::ExpressionStatement(statement) => self.common_js(&statement.expression, outer, found),
            _ => {}
        }
    }

    /// `exports.name = …`, `module.exports.name = …`, `module.exports = …`.
    fn common_js(&self, expression: &'p Expression<'a>, outer: u32, found: &mut Map<String, Value>) {
        let Expression::AssignmentExpression(assignment) = expression else { return };
        let AssignmentTarget::StaticMemberExpression(target) = &assignment.left else { return };
        // `module.exports = exports = …`
        let value = match &assignment.right {
            Expression::AssignmentExpression(inner) => &inner.right,
            other => other,
        };
        let name = target.property.name.as_str();
        let whole = name == "exports" && is_name(&target.object, "module");
        let part = is_name(&target.object, "exports") || is_module_exports(&target.object);
        if part {
            self.add(name, local(value, outer).and_then(|local| self.resolve(local)), found);
        } else if let (true, Expression::ObjectExpression(object)) = (whole, value) {
            for property in &object.properties {
                if let ObjectPropertyKind::ObjectProperty(property) = property
                    && let Some(name) = property.key.static_name()
                {
                    let callable = local(&property.value, property.span.start).and_then(|local| self.resolve(local));
                    self.add(&name, callable, found);
                }
            }
        } else if whole {
            self.add("default", local(value, outer).and_then(|local| self.resolve(local)), found);
        }
    }

    fn named(&self, name: &str) -> Option<Callable<'p, 'a>> {
        self.locals.get(name).and_then(|local| self.resolve(*local))
    }

    fn resolve(&self, mut local: Local<'p, 'a>) -> Option<Callable<'p, 'a>> {
        for _ in 0..ALIASES_MAX {
            match local {
                Local::Function(callable) => return Some(callable),
                Local::Alias(name) => local = *self.locals.get(name)?,
            }
        }
        None
    }

    fn add(&self, name: &str, callable: Option<Callable<'p, 'a>>, found: &mut Map<String, Value>) {
        if let Some(callable) = callable.filter(|_| !name.is_empty()) {
            found.insert(name.to_owned(), self.one(callable));
        }
    }

    fn one(&self, callable: Callable<'p, 'a>) -> Value {
        let comment = self
            .comments
            .iter()
            .rev()
            .find(|comment| comment.is_jsdoc() && (comment.attached_to == callable.at || comment.attached_to == callable.outer));
        let doc = comment.and_then(|comment| self.text.get(comment.span.start as usize..comment.span.end as usize));
        let doc = doc.map(JsDoc::parse).unwrap_or_default();
        let mut parameters = Vec::new();
        for item in &callable.parameters.items {
            let annotated = item.type_annotation.as_ref().map(|annotation| &annotation.type_annotation);
            let mut one = self.parameter(&item.pattern, annotated, item.initializer.as_deref(), parameters.len(), &doc);
            if item.optional {
                one.insert("required".into(), false.into());
            }
            parameters.push(Value::Object(one));
        }
        if callable.parameters.rest.is_some() {
            parameters.push(json!({"name": "", "required": false, "rest": true}));
        }
        let returns = callable.returns.and_then(|kind| self.text.get(kind.span().start as usize..kind.span().end as usize));
        json!({"parameters": parameters, "returns": returns.unwrap_or(&doc.returns), "doc": doc.summary})
    }

    fn parameter(
        &self,
        pattern: &'p BindingPattern<'a>,
        annotated: Option<&'p TSType<'a>>,
        default: Option<&'p Expression<'a>>,
        index: usize,
        doc: &JsDoc,
    ) -> Map<String, Value> {
        let (name, mut one) = match pattern {
            BindingPattern::AssignmentPattern(inner) => return self.parameter(&inner.left, annotated, Some(&inner.right), index, doc),
            BindingPattern::ObjectPattern(object) => {
                let mut properties = Vec::new();
                for property in &object.properties {
                    let Some(name) = property.key.static_name() else { continue };
                    let member = annotated.and_then(|kind| self.types.member(kind, &name));
                    let mut one = self.parameter(&property.value, member.and_then(|member| member.kind), None, index, doc);
                    one.insert("name".into(), name.as_ref().into());
                    // An object within an object is taken as one value.
                    if one.remove("properties").is_some() {
                        one.insert("type".into(), "object".into());
                    }
                    doc.apply(&name, &mut one);
                    if member.is_some_and(|member| member.optional) {
                        one.insert("required".into(), false.into());
                    }
                    properties.push(Value::Object(one));
                }
                let others = object.rest.is_some();
                (format!("argument{}", index + 1), merge(json!({"type": "object", "properties": properties, "others": others})))
            }
            other => {
                let name = other.get_identifier_name().map_or_else(|| format!("argument{}", index + 1), |name| name.to_string());
                (name, annotated.map(|kind| self.types.read(kind)).unwrap_or_default())
            }
        };
        one.insert("name".into(), name.as_str().into());
        one.insert("required".into(), default.is_none().into());
        if annotated.is_none() {
            doc.apply(&name, &mut one);
        }
        if let Some((value, kind)) = default.and_then(literal) {
            for (key, value) in kind {
                one.entry(key).or_insert(value);
            }
            one.insert("default".into(), value);
        }
        one
    }
}

fn is_name(expression: &Expression<'_>, name: &str) -> bool {
    expression.get_identifier_reference().is_some_and(|reference| reference.name == name)
}

fn is_module_exports(expression: &Expression<'_>) -> bool {
    matches!(expression, Expression::StaticMemberExpression(member)
        if member.property.name == "exports" && is_name(&member.object, "module"))
}

fn local<'p, 'a>(value: &'p Expression<'a>, outer: u32) -> Option<Local<'p, 'a>> {
    match value {
        Expression::FunctionExpression(function) => of_function(function, outer).map(Local::Function),
        Expression::ArrowFunctionExpression(arrow) => Some(Local::Function(Callable {
            at: arrow.span.start,
            outer,
            parameters: &arrow.params,
            returns: arrow.return_type.as_ref().map(|kind| &kind.type_annotation),
        })),
        Expression::Identifier(name) => Some(Local::Alias(name.name.as_str())),
        Expression::ParenthesizedExpression(inner) => local(&inner.expression, outer),
        Expression::TSAsExpression(inner) => local(&inner.expression, outer),
        Expression::TSSatisfiesExpression(inner) => local(&inner.expression, outer),
        _ => None,
    }
}

/// None for an overload, which has no body: the last declaration of the name is the function.
fn of_function<'p, 'a>(function: &'p Function<'a>, outer: u32) -> Option<Callable<'p, 'a>> {
    function.body.as_ref()?;
    let returns = function.return_type.as_ref().map(|kind| &kind.type_annotation);
    Some(Callable { at: function.span.start, outer, parameters: &function.params, returns })
}
