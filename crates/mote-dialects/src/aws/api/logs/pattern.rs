//! Filter patterns of plain terms: `ERROR timeout`, `"connection reset"`, `-debug`, `?ERROR ?WARN`.
//!
//! Not here, and refused by name: patterns of JSON (`{ $.level = "error" }`), of columns (`[ip, …]`)
//! and regular expressions (`%…%`).

/// What one pattern may hold, and how long it may be.
const TERMS_MAX: usize = 64;
const BYTES_MAX: usize = 1024;

/// A line matches if it has all of `all`, none of `none`, and, where nothing has to be there, any of `any`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    none: Vec<String>,
    any: Vec<String>,
}

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Pattern, String> {
        let mut rest = text.trim();
        if rest.len() > BYTES_MAX {
            return Err(format!("The filter pattern has {} bytes; {BYTES_MAX} is the limit", rest.len()));
        }
        let kind = match rest.chars().next() {
            Some('{') => "JSON",
            Some('[') => "columns",
            Some('%') => "regular expressions",
            _ => "",
        };
        if !kind.is_empty() {
            return Err(format!(
                "Filter patterns of {kind} are not supported by mote; plain terms, \"quoted terms\", -terms and ?terms are"
            ));
        }
        let mut pattern = Pattern::default();
        while !rest.is_empty() {
            let (list, term) = match rest.chars().next() {
                Some('-') => (&mut pattern.none, &rest[1..]),
                Some('?') => (&mut pattern.any, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, left) = first(term)?;
            list.push(term);
            rest = left.trim_start();
            if pattern.all.len() + pattern.none.len() + pattern.any.len() > TERMS_MAX {
                return Err(format!("The filter pattern has more than {TERMS_MAX} terms"));
            }
        }
        Ok(pattern)
    }

    pub(super) fn takes(&self, line: &str) -> bool {
        let has = |term: &String| line.contains(term.as_str());
        let any = !self.all.is_empty() || self.any.is_empty() || self.any.iter().any(has);
        any && self.all.iter().all(has) && !self.none.iter().any(has)
    }

    pub(super) fn takes_all(&self) -> bool {
        *self == Pattern::default()
    }
}

/// The term in front, and what comes behind it. In quotes, a backslash takes the next character as it is.
fn first(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (term, rest) = text.split_at(end);
        return if term.is_empty() { Err("The filter pattern has a - or a ? before no term".into()) } else { Ok((term.to_owned(), rest)) };
    };
    let mut term = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next() {
            Some('"') => return Ok((term, chars.as_str())),
            Some('\\') => term.extend(chars.next()),
            Some(other) => term.push(other),
            None => return Err("The filter pattern has a quoted term without an end".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        let check = |pattern: &str, line: &str, expect: bool| {
            assert_eq!(Pattern::read(pattern).unwrap().takes(line), expect, "{pattern} on {line}");
        };
        check("", "anything", true);
        check("  ", "", true);
        check("ERROR", "an ERROR here", true);
        check("ERROR", "an error here", false);
        check("ERROR disk", "disk ERROR", true);
        check("ERROR disk", "ERROR", false);
        check("\"disk full\"", "the disk full", true);
        check("\"disk full\"", "full disk", false);
        check("\"say \\\"hi\\\"\"", "say \"hi\"", true);
        check("ERROR -retry", "ERROR once", true);
        check("ERROR -retry", "ERROR retry", false);
        check("-\"a b\"", "a b", false);
        check("?ERROR ?WARN", "WARN", true);
        check("?ERROR ?WARN", "INFO", false);
        check("disk ?ERROR", "disk", true);
        check("ä", "bär", true);
    }

    #[test]
    fn what_is_no_pattern_of_terms_is_refused() {
        let many = "a ".repeat(TERMS_MAX + 1);
        let long = "a".repeat(BYTES_MAX + 1);
        for wrong in ["{ $.a = 1 }", " [a, b]", "%a.b%", "\"open", "\"open\\", "-", "a ? b", "-ä \"", &many, &long] {
            assert!(Pattern::read(wrong).is_err(), "{wrong}");
        }
    }
}
