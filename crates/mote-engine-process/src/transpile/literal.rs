//! The value of an expression that needs no running: a default as JSON, and the type it stands for.

use oxc::ast::ast::{ArrayExpressionElement, Expression, UnaryOperator};
use serde_json::{Map, Number, Value, json};

use super::types::merge;

pub(super) fn literal(expression: &Expression<'_>) -> Option<(Value, Map<String, Value>)> {
    let value = value(expression)?;
    let kind = match &value {
        Value::Number(_) => json!({"type": "number"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Array(_) => json!({"type": "array"}),
        Value::Object(_) => json!({"type": "object"}),
        Value::Null => json!({}),
    };
    Some((value, merge(kind)))
}

/// As JavaScript prints it: `3` and not `3.0`.
pub(super) fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Some((value as i64).into());
    }
    Number::from_f64(value).map(Value::Number)
}

fn value(expression: &Expression<'_>) -> Option<Value> {
    match expression {
        Expression::NumericLiteral(literal) => number(literal.value),
        Expression::StringLiteral(literal) => Some(literal.value.as_str().into()),
        Expression::BooleanLiteral(literal) => Some(literal.value.into()),
        Expression::NullLiteral(_) => Some(Value::Null),
        Expression::UnaryExpression(unary) if unary.operator == UnaryOperator::UnaryNegation => match &unary.argument {
            Expression::NumericLiteral(literal) => number(-literal.value),
            _ => None,
        },
        Expression::ArrayExpression(array) => {
            // One level: a default that nests deeper is shown by nobody.
            let flat = |element: &ArrayExpressionElement<'_>| match element.as_expression()? {
                Expression::ArrayExpression(_) | Expression::ObjectExpression(_) => None,
                scalar => value(scalar),
            };
            array.elements.iter().map(flat).collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        Expression::ObjectExpression(object) if object.properties.is_empty() => Some(json!({})),
        _ => None,
    }
}
