//! Which files of the folder a function gets: `package.patterns`.

use std::rc::Rc;

use mote_core::bundle::Bundle;

use super::super::code;
use super::super::finding::{Findings, Outcome};
use super::super::template::Props;

const PATTERNS_MAX: usize = 200;
const SILENT: [(&str, &str); 2] =
    [("individually", "each function has the files that its patterns leave"), ("excludeDevDependencies", "mote installs none")];

/// Of the service's `package` and the function's own, of which the later pattern goes before.
pub(super) fn files<'a>(service: &Props<'_, 'a>, own: &Props<'_, 'a>, found: &mut Findings) -> Outcome<Bundle> {
    for package in [service, own] {
        package.expect("a package", &["patterns", "artifact"], &SILENT, found);
    }
    let ground = own.template().ground;
    for package in [own, service] {
        if let Some((at, path)) = package.text("artifact")? {
            return code::at(ground, at, &path);
        }
    }
    let patterns: Vec<Rc<str>> = [service.texts("patterns")?, own.texts("patterns")?].concat();
    if patterns.len() > PATTERNS_MAX {
        found.wrong(own.at, format!("there are more than {PATTERNS_MAX} patterns"));
    }
    let all = code::at(ground, own.at, ".")?;
    let mut files = Bundle::default();
    for (path, file) in all.files().filter(|(path, _)| takes(&patterns, path)) {
        super::super::bindings::told(own.at, files.insert(path, file.content.clone(), file.executable))?;
    }
    Ok(files)
}

/// Everything but what a pattern with `!` takes out, and a later one does not bring back.
fn takes(patterns: &[Rc<str>], path: &str) -> bool {
    patterns.iter().take(PATTERNS_MAX).fold(true, |taken, pattern| {
        let pattern = pattern.trim();
        match pattern.strip_prefix('!') {
            Some(out) if matches(out, path) => false,
            None if matches(pattern, path) => true,
            _ => taken,
        }
    })
}

/// `**` is any number of folders, `*` anything within one.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").split('/').filter(|part| !part.is_empty()).collect();
    let parts: Vec<&str> = path.split('/').collect();
    // By whether the pattern so far takes so many parts of the path.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for piece in pattern {
        let mut next = vec![false; parts.len() + 1];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            match piece {
                "**" => next[at..].iter_mut().for_each(|one| *one = true),
                piece => {
                    if parts.get(at).is_some_and(|part| within(piece, part)) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

fn within(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for piece in pieces {
        if let Some(before) = last.replace(piece) {
            let before: &str = before;
            let Some(at) = rest.find(before) else { return false };
            rest = rest.get(at + before.len()..).unwrap_or_default();
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, path: &str, expect: bool| assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        check("a/**", "a/b/c.py", true);
        check("./a/*.py", "a/b.py", true);
        check("a/*.py", "a/b/c.py", false);
        check("**/*.md", "README.md", true);
        check("**/*.md", "a/b/c.md", true);
        check("**", "a/b", true);
        check("a*c*e", "abcde", true);
        check("a*c*e", "abde", false);
        check("a", "ab", false);
        check("a*a", "a", false);
        let taken = |patterns: &[&str], path: &str| takes(&patterns.iter().map(|one| (*one).into()).collect::<Vec<_>>(), path);
        assert!(taken(&[], "a") && !taken(&["!**"], "a") && taken(&["!**", "a"], "a") && !taken(&["!**", "a"], "b"));
    }
}
