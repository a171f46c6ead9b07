//! Rules for documents: what they point to exists, and what they promise has a test.

use std::path::Path;

use super::{File, Findings, Tree};
use crate::Result;
use crate::places::root;

const CODES: &str = "crates/mote-core/src/error.rs";

pub(super) fn every_error_has_its_page(tree: &Tree, findings: &mut Findings) -> Result<()> {
    let codes = tree.files.iter().find(|file| file.path == CODES).ok_or("the list of error codes is gone")?;
    let slugs: Vec<&str> = codes.lines().filter_map(|(_, line)| slug(line)).collect();
    if slugs.is_empty() {
        findings.add(CODES, "no error code was recognised");
    }
    for slug in &slugs {
        if !root().join(format!("docs/errors/{slug}.md")).exists() {
            findings.add(CODES, format!("docs/errors/{slug}.md is missing"));
        }
    }
    for page in tree.files.iter().filter_map(|file| file.path.strip_prefix("docs/errors/")?.strip_suffix(".md")) {
        if page != "README" && !slugs.contains(&page) {
            findings.add(format!("docs/errors/{page}.md"), "there is no such error code");
        }
    }
    Ok(())
}

/// The slug of a line of the table: `Name = "slug", Fault, Retry;`.
fn slug(line: &str) -> Option<&str> {
    let (_, rest) = line.trim().split_once(" = \"")?;
    let (slug, rest) = rest.split_once('"')?;
    (rest.starts_with(", ") && rest.ends_with(';')).then_some(slug)
}

pub(super) fn links_lead_somewhere(tree: &Tree, findings: &mut Findings) -> Result<()> {
    for file in tree.with_ending("md") {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (number, line) in file.lines() {
            for link in links(line) {
                let target = link.split('#').next().unwrap_or_default();
                let outside = link.contains("://") || link.starts_with("mailto:");
                if !outside && !target.is_empty() && !root().join(folder).join(target).exists() {
                    findings.add(format!("{}:{number}", file.path), format!("the link {link} leads nowhere"));
                }
            }
        }
    }
    Ok(())
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains(' '))
}

/// Documents whose tables are promises.
const PROMISES: &[&str] = &["SPEC.md", "docs/guide/threat-model.md"];

/// Each row of a table of promises ends with the names of what holds it, in backticks.
pub(super) fn promises_name_their_tests(tree: &Tree, findings: &mut Findings) -> Result<()> {
    for path in PROMISES {
        let file = tree.files.iter().find(|file| file.path == *path).ok_or_else(|| format!("there is no {path}"))?;
        promises_of(file, tree, findings);
    }
    Ok(())
}

fn promises_of(file: &File, tree: &Tree, findings: &mut Findings) {
    for (number, line) in file.lines().filter(|(_, line)| line.starts_with("| ") && !line.contains("| held by |")) {
        let held_by = line.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            findings.add(format!("{}:{number}", file.path), "the promise names no test");
        }
        for name in names.iter().filter(|name| !exists(tree, name)) {
            findings.add(format!("{}:{number}", file.path), format!("there is no test, file or task {name}"));
        }
    }
}

/// A function of a test, a file, or a task with its step.
fn exists(tree: &Tree, name: &str) -> bool {
    if let Some(task) = name.strip_prefix("cargo xtask ") {
        let word = task.split_whitespace().last().unwrap_or_default();
        return tree.files.iter().any(|file| file.path.starts_with("xtask/src/") && file.text.contains(&format!("\"{word}\"")));
    }
    let defined = |file: &File| ["fn", "def"].iter().any(|keyword| file.text.contains(&format!("{keyword} {name}(")));
    root().join(name).exists() || tree.rust().chain(tree.with_ending("py")).any(defined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        assert_eq!(slug(r#"    Throttled = "throttled", Platform, Safe;"#), Some("throttled"));
        assert_eq!(slug(r#"    let x = "throttled";"#), None);
    }

    #[test]
    fn links_of_a_line() {
        assert_eq!(links("see [a](b.md#c) and [d](e)").collect::<Vec<_>>(), ["b.md#c", "e"]);
        assert_eq!(links("x](not a link)").count(), 0);
    }
}
