//! Makes an artifact's TypeScript ready for Node, and reads off its source what a function takes.
//!
//! Types are dropped, not checked: that is the editor's and the build's affair. Each `.ts` gets its
//! `.js` beside it (`.mts` → `.mjs`, `.cts` → `.cjs`), and all files together one
//! `.mote/signature.json`: file → exported name → parameters, which [`signature`] reads and the
//! Node runner binds by. Whether a `.js` is an ES module stays what package.json's `type` says.

mod jsdoc;
mod literal;
mod signature;
mod types;

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread;

use mote_core::{Code, Error, Result};
use oxc::allocator::Allocator;
use oxc::ast::ast::{Program, Statement, StringLiteral};
use oxc::codegen::Codegen;
use oxc::diagnostics::{Diagnostics, OxcDiagnostic};
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc::str::Str;
use oxc::transformer::{DecoratorOptions, HelperLoaderMode, TransformOptions, Transformer};
use serde_json::{Map, Value};

/// A larger source is not hand-written: it is left as it is, or refused if it is TypeScript.
const SOURCE_BYTES_MAX: u64 = 1 << 20;
/// The parser recurses as deep as the source nests, and the source is hostile. Only what is used
/// of it becomes memory.
const STACK_BYTES: usize = 4 << 30;
/// Deeper than any code that a person wrote, and within the stack.
const NESTING_MAX: usize = 2000;

/// What legacy decorators are lowered to, for files that use them.
const DECORATOR_HELPERS: &str = "const babelHelpers = {\n  \
    decorate(list, target, key, given) {\n    \
        const member = arguments.length > 2 && key !== undefined;\n    \
        let made = member ? given === null ? Object.getOwnPropertyDescriptor(target, key) : given : target;\n    \
        for (const decorator of [...list].reverse()) made = (member ? decorator(target, key, made) : decorator(made)) ?? made;\n    \
        if (member && made) Object.defineProperty(target, key, made);\n    \
        return made;\n  },\n  \
    decorateParam: (index, decorator) => (target, key) => decorator(target, key, index),\n  \
    decorateMetadata: (key, value) => Reflect.metadata?.(key, value) ?? (() => {}),\n};\n";

/// Translates and describes what lies in `artifact`. Blocks; gives how many files it translated.
pub fn build(artifact: &Path) -> Result<usize> {
    let artifact = artifact.to_owned();
    let worker = thread::Builder::new().name("transpile".into()).stack_size(STACK_BYTES).spawn(move || run(&artifact));
    let worker = worker.map_err(|error| Error::internal("the translator of JavaScript did not start").caused_by(error))?;
    worker.join().unwrap_or_else(|_| Err(Error::internal("the translator of JavaScript panicked")))
}

fn run(artifact: &Path) -> Result<usize> {
    let mut sources = Vec::new();
    find(artifact, Path::new(""), &mut sources).map_err(|error| failed("the artifact can't be read", error))?;
    let mut described = Map::new();
    let mut translated = 0;
    for file in &sources {
        let (target, is_typescript) = target(file);
        let target_name = target.to_string_lossy().into_owned();
        // What was translated describes its target better than the plain target itself.
        if !is_typescript && sources.iter().any(|other| other != file && self::target(other).0 == *file) {
            continue;
        }
        let full = artifact.join(file);
        let size = fs::metadata(&full).map_or(0, |meta| meta.len());
        if size > SOURCE_BYTES_MAX && !is_typescript {
            continue;
        }
        let text = fs::read(&full).map_err(|error| failed("the artifact can't be read", error))?;
        let source = Source { artifact, file, text: &String::from_utf8_lossy(&text) };
        let functions = if is_typescript {
            let (code, functions) = source.translate()?;
            fs::write(artifact.join(&target), code).map_err(|error| failed("the artifact can't be written", error))?;
            translated += 1;
            functions
        } else {
            source.describe()
        };
        if !functions.is_empty() {
            described.insert(target_name, Value::Object(functions));
        }
    }
    if !described.is_empty() {
        let directory = artifact.join(".mote");
        let write =
            fs::create_dir_all(&directory).and_then(|()| fs::write(directory.join("signature.json"), Value::Object(described).to_string()));
        write.map_err(|error| failed("the artifact can't be written", error))?;
    }
    Ok(translated)
}

/// The first place in which a source does not parse: `app.mjs:3:7: what`, and the line. Blocks.
pub(crate) fn first_error(artifact: &Path) -> Option<String> {
    let artifact = artifact.to_owned();
    let worker = thread::Builder::new().name("transpile".into()).stack_size(STACK_BYTES).spawn(move || {
        let mut sources = Vec::new();
        find(&artifact, Path::new(""), &mut sources).ok()?;
        sources.iter().find_map(|file| {
            let full = artifact.join(file);
            let is_read = fs::metadata(&full).is_ok_and(|meta| meta.len() <= SOURCE_BYTES_MAX);
            let text = is_read.then(|| fs::read(&full).ok()).flatten()?;
            let source = Source { artifact: &artifact, file, text: &String::from_utf8_lossy(&text) };
            source.parses().err().map(|error| error.detail().to_owned())
        })
    });
    worker.ok()?.join().ok().flatten()
}

/// One file of the artifact.
struct Source<'a> {
    artifact: &'a Path,
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn translate(&self) -> Result<(String, Map<String, Value>)> {
        if self.text.len() as u64 > SOURCE_BYTES_MAX {
            let detail =
                format!("{} has {} bytes, more than the {SOURCE_BYTES_MAX} that are translated", self.file.display(), self.text.len());
            return Err(Error::new(Code::BuildFailed, detail).hint("Translate it yourself, and deploy the JavaScript."));
        }
        if let Some(offset) = too_deep(self.text) {
            return Err(self.refuse("nested too deeply", offset));
        }
        let allocator = Allocator::default();
        let kind = SourceType::from_path(self.file).map_err(|error| failed("a source can't be read", io::Error::other(error)))?;
        let parsed = Parser::new(&allocator, self.text, kind).parse();
        self.check(&parsed.diagnostics)?;
        let mut program = parsed.program;
        let functions = signature::describe(&program);
        self.point_imports_at_targets(&mut program, &allocator);
        let analysed = SemanticBuilder::new().with_enum_eval(true).build(&program);
        self.check(&analysed.diagnostics)?;
        let mut options = TransformOptions::default();
        options.decorator = DecoratorOptions { legacy: true, ..options.decorator };
        options.helper_loader.mode = HelperLoaderMode::External;
        let done = Transformer::new(&allocator, self.file, &options).build_with_scoping(analysed.semantic.into_scoping(), &mut program);
        self.check(&done.diagnostics)?;
        let code = Codegen::new().build(&program).code;
        let helpers = if code.contains("babelHelpers.") { DECORATOR_HELPERS } else { "" };
        Ok((format!("{helpers}{code}"), functions))
    }

    fn parses(&self) -> Result<()> {
        if too_deep(self.text).is_some() {
            return Ok(());
        }
        let allocator = Allocator::default();
        let Ok(kind) = SourceType::from_path(self.file) else { return Ok(()) };
        self.check(&Parser::new(&allocator, self.text, kind.with_unambiguous(true)).parse().diagnostics)
    }

    /// A JavaScript file that can't be parsed is Node's to refuse, if it is ever loaded.
    fn describe(&self) -> Map<String, Value> {
        if too_deep(self.text).is_some() {
            return Map::new();
        }
        let allocator = Allocator::default();
        let Ok(kind) = SourceType::from_path(self.file) else { return Map::new() };
        let parsed = Parser::new(&allocator, self.text, kind.with_unambiguous(true)).parse();
        if parsed.panicked { Map::new() } else { signature::describe(&parsed.program) }
    }

    /// `./x.ts` and `./x` become `./x.js`: Node neither runs the one nor guesses at the other.
    fn point_imports_at_targets<'a>(&self, program: &mut Program<'a>, allocator: &'a Allocator) {
        for statement in &mut program.body {
            let specifier: Option<&mut StringLiteral<'a>> = match statement {
                Statement::ImportDeclaration(import) => Some(&mut import.source),
                Statement::ExportAllDeclaration(export) => Some(&mut export.source),
                Statement::ExportFromDeclaration(export) => Some(&mut export.source),
                _ => None,
            };
            if let Some(specifier) = specifier
                && let Some(target) = self.import_target(specifier.value.as_str())
            {
                specifier.value = Str::from_str_in(&target, &allocator);
                specifier.raw = None;
            }
        }
    }

    fn import_target(&self, specifier: &str) -> Option<String> {
        if !specifier.starts_with("./") && !specifier.starts_with("../") {
            return None;
        }
        let directory = self.file.parent()?;
        let exists = |specifier: &str| inside(&directory.join(specifier)).is_some_and(|path| self.artifact.join(path).is_file());
        if exists(specifier) {
            let (target, is_typescript) = target(Path::new(specifier));
            return is_typescript.then(|| target.to_string_lossy().into_owned());
        }
        let endings =
            [(".ts", ".js"), (".tsx", ".js"), (".js", ".js"), (".mts", ".mjs"), ("/index.ts", "/index.js"), ("/index.js", "/index.js")];
        let (_, ending) = endings.iter().find(|(source, _)| exists(&format!("{specifier}{source}")))?;
        Some(format!("{}{ending}", specifier.trim_end_matches('/')))
    }

    fn check(&self, diagnostics: &Diagnostics) -> Result<()> {
        diagnostics.errors().next().map_or(Ok(()), |first| Err(self.reject(first)))
    }

    fn reject(&self, diagnostic: &OxcDiagnostic) -> Error {
        let offset = diagnostic.labels.first().map_or(0, |label| label.offset() as usize);
        let error = self.refuse(&diagnostic.message, offset);
        match &diagnostic.help {
            Some(help) => error.hint(help.to_string()),
            None => error,
        }
    }

    /// `app.ts:3:7: what` and the line.
    fn refuse(&self, what: &str, offset: usize) -> Error {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let shown: String = line.chars().take(160).collect();
        let (row, column) = (before.matches('\n').count() + 1, before.get(start..).map_or(0, |text| text.chars().count()) + 1);
        Error::new(Code::BuildFailed, format!("{}:{row}:{column}: {what}\n{shown}", self.file.display()))
    }
}

/// Where a file's translation goes, and whether it is one that is translated.
pub(crate) fn target(file: &Path) -> (PathBuf, bool) {
    let extension = match file.extension().and_then(|extension| extension.to_str()) {
        Some("ts" | "tsx" | "jsx") => "js",
        Some("mts") => "mjs",
        Some("cts") => "cjs",
        _ => return (file.to_owned(), false),
    };
    (file.with_extension(extension), true)
}

/// Sources below `at`, by their path from the artifact's root, in order.
fn find(artifact: &Path, at: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(artifact.join(at))?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let path = at.join(&name);
        let name = name.to_string_lossy();
        let is_source = || [".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"].iter().any(|ending| name.ends_with(ending));
        let declares = || [".d.ts", ".d.mts", ".d.cts"].iter().any(|ending| name.ends_with(ending));
        if kind.is_dir() && name != "node_modules" && name != ".mote" {
            find(artifact, &path, found)?;
        } else if kind.is_file() && is_source() && !declares() {
            found.push(path);
        }
    }
    Ok(())
}

/// `a/./b/../c` → `a/c`; none if it leads out of the artifact.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// The first place where brackets nest deeper than a person's code does. Brackets in texts and
/// comments count too: wrong only for files that nobody wrote.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

fn failed(what: &str, error: io::Error) -> Error {
    Error::internal(what).caused_by(error)
}

#[cfg(test)]
mod tests;
