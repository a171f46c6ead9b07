//! One table of mote.toml, read key by key; every error names the key and its line.
//!
//! Not serde's derive: its errors list every key there is, and this one names the nearest.

use std::ops::RangeInclusive;

use mote_core::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::invalid;
use super::units::{self, DURATION, SIZE};

/// Longer words have no nearest.
const WORD_BYTES_MAX: usize = 128;

/// A value with what an error about it needs.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    text: &'t str,
    key: &'t str,
    value: &'t Spanned<DeValue<'t>>,
}

/// See the module's text.
#[derive(Clone, Copy)]
pub(super) struct Section<'t> {
    text: &'t str,
    table: &'t DeTable<'t>,
}

impl<'t> Section<'t> {
    pub(super) fn new(text: &'t str, table: &'t DeTable<'t>) -> Self {
        Section { text, table }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'t>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Value { text: self.text, key: key.get_ref(), value })
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (&'t str, Value<'t>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), Value { text: self.text, key: key.get_ref(), value }))
    }

    /// An error at the first key that is none of `known`; `place` is how the table is called.
    pub(super) fn expect_keys(&self, place: &str, known: &[&str]) -> Result<()> {
        let mut unknown: Vec<_> = self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).collect();
        unknown.sort_by_key(|key| key.span().start);
        let Some(key) = unknown.first() else { return Ok(()) };
        let shown: String = key.get_ref().chars().take(40).collect();
        let line = line_of(self.text, key.span().start);
        let error = invalid(format!("mote.toml line {line}: {place} has no key {shown:?}"));
        Err(match nearest(&shown, known) {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => error.hint(format!("Known keys: {}.", known.join(", "))),
        })
    }
}

impl<'t> Value<'t> {
    pub(super) fn text(&self) -> Result<&'t str> {
        self.value.get_ref().as_str().ok_or_else(|| self.wanted("a string in quotes"))
    }

    pub(super) fn flag(&self) -> Result<bool> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wanted("true or false"))
    }

    pub(super) fn count(&self, bounds: RangeInclusive<u32>) -> Result<u32> {
        let number = self.value.get_ref().as_integer();
        let number = number.and_then(|n| i128::from_str_radix(n.as_str(), n.radix()).ok()).ok_or_else(|| self.wanted("a whole number"))?;
        let number = u32::try_from(number).ok().filter(|n| bounds.contains(n));
        number.ok_or_else(|| self.wanted(&format!("{} to {}", bounds.start(), bounds.end())))
    }

    /// Whole or with a fraction.
    pub(super) fn number(&self) -> Result<f64> {
        let value = self.value.get_ref();
        let text = value.as_float().map(|n| n.as_str().to_owned()).or_else(|| value.as_integer().map(|n| n.as_str().to_owned()));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.wanted("a number"))
    }

    pub(super) fn duration_ms(&self, bounds: RangeInclusive<u64>) -> Result<u64> {
        let ms = self.value.get_ref().as_str().and_then(units::duration_ms).ok_or_else(|| self.wanted(DURATION))?;
        if bounds.contains(&ms) {
            return Ok(ms);
        }
        Err(self.wanted(&format!("{} to {}", units::show_ms(*bounds.start()), units::show_ms(*bounds.end()))))
    }

    /// Of a text or of TOML's own date and time.
    pub(super) fn moment_text(&self) -> Option<String> {
        let value = self.value.get_ref();
        value.as_str().map(str::to_owned).or_else(|| value.as_datetime().map(ToString::to_string))
    }

    /// The same as JSON: a date becomes text. TOML's parser has bounded the depth.
    pub(super) fn json(&self) -> Result<serde_json::Value> {
        json(self.value.get_ref()).ok_or_else(|| self.wanted("what JSON can say: no inf, nan or larger number than 64 bits"))
    }

    pub(super) fn size_bytes(&self, bounds: RangeInclusive<u64>) -> Result<u64> {
        let bytes = self.value.get_ref().as_str().and_then(units::size_bytes).ok_or_else(|| self.wanted(SIZE))?;
        if bounds.contains(&bytes) {
            return Ok(bytes);
        }
        Err(self.wanted(&format!("{} to {}", units::show_bytes(*bounds.start()), units::show_bytes(*bounds.end()))))
    }

    pub(super) fn texts(&self, count_max: usize) -> Result<Vec<&'t str>> {
        let items = self.value.get_ref().as_array().ok_or_else(|| self.wanted("a list of strings"))?;
        if items.len() > count_max {
            return Err(self.wanted(&format!("at most {count_max} of them")));
        }
        items.iter().map(|value| Value { value, ..*self }.text()).collect()
    }

    pub(super) fn table(&self) -> Result<Section<'t>> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.wanted(&format!("a table, [{}]", self.key)))?;
        Ok(Section { text: self.text, table })
    }

    /// `None`: it is something else, for whoever takes that too.
    pub(super) fn maybe_table(&self) -> Option<Section<'t>> {
        self.value.get_ref().as_table().map(|table| Section { text: self.text, table })
    }

    pub(super) fn tables(&self, count_max: usize) -> Result<Vec<Section<'t>>> {
        let wanted = || self.wanted(&format!("tables, [[{}]]", self.key));
        let items = self.value.get_ref().as_array().ok_or_else(wanted)?;
        if items.len() > count_max {
            return Err(self.wanted(&format!("at most {count_max} of them")));
        }
        items.iter().map(|item| item.get_ref().as_table().map(|table| Section { text: self.text, table }).ok_or_else(wanted)).collect()
    }

    /// An error that says what stands here and what was wanted.
    pub(super) fn wanted(&self, wanted: &str) -> Error {
        let found = self.text.get(self.value.span()).unwrap_or_default();
        let mut shown: String = found.lines().next().unwrap_or_default().chars().take(60).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        self.wrong(&format!("is {shown}, and {wanted} is wanted"))
    }

    pub(super) fn wrong(&self, what: &str) -> Error {
        invalid(format!("mote.toml line {}: `{}` {what}", line_of(self.text, self.value.span().start), self.key))
    }
}

fn json(value: &DeValue) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => serde_json::Number::from_f64(number.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)));
            serde_json::Value::Object(entries.collect::<Option<_>>()?)
        }
    })
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// The known word that at most two slips of the pen turn into `word`.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Both come from outside, and the comparison costs the product of their lengths.
    let alike = known.iter().filter(|key| word.len() <= WORD_BYTES_MAX && key.len().abs_diff(word.len()) <= 2);
    let (distance, near) = alike.map(|key| (distance(word, key), *key)).min()?;
    (distance <= 2.min(near.len() - 1)).then_some(near)
}

/// Insertions, removals, replacements and swaps of neighbours between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key() {
        let known = ["name", "timeout", "memory", "url", "concurrency"];
        let check = |word: &str, expect| assert_eq!(nearest(word, &known), expect, "{word}");
        check("timout", Some("timeout"));
        check("Timeout", Some("timeout"));
        check("memroy", Some("memory"));
        check("nmae", Some("name"));
        check("colour", None);
        check("", None);
        check("x", None);
        check(&"t".repeat(1 << 20), None);
    }
}
