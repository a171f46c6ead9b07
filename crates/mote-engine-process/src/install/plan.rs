//! What must be installed for an artifact, by which command, and what decides the result.

use std::env::consts::ARCH;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mote_core::function::{Digest, Family};
use mote_core::{Code, Error, Result};
use serde_json::Value;

use crate::artifact::digest;
use crate::runtime::Interpreter;

/// Of the files that a requirements file includes; more is a circle.
const INCLUDES_MAX: usize = 32;
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// A new layout of the cache's entries must not meet old ones.
const LAYOUT: &str = "1";

pub(super) struct Plan {
    pub(super) key: Digest,
    /// The file that asks for the dependencies, as the user knows it.
    pub(super) manifest: &'static str,
    pub(super) installer: &'static str,
    /// Where the installer leaves its work, from the directory that it runs in.
    pub(super) product: &'static str,
    /// Where that belongs, from the artifact's root.
    pub(super) place: &'static str,
    interpreter: Interpreter,
    npm: PathBuf,
    has_lock: bool,
    /// Files that the installer must find: paths from the artifact's root, and texts.
    staged: Vec<(String, Vec<u8>)>,
    /// The manifest names folders of the bundle, so the installer sees all of it.
    whole: bool,
}

impl Plan {
    /// None if there is nothing to install.
    pub(super) fn of(artifact: &Path, interpreter: &Interpreter) -> Result<Option<Plan>> {
        let mut plan = Plan {
            key: Digest([0; 32]),
            manifest: "requirements.txt",
            installer: "pip",
            product: "site-packages",
            place: ".mote/site-packages",
            interpreter: interpreter.clone(),
            npm: PathBuf::new(),
            has_lock: false,
            staged: Vec::new(),
            whole: false,
        };
        let found = match interpreter.family {
            Family::Python => plan.python(artifact)?,
            Family::Node => plan.node(artifact)?,
            Family::Java | Family::Executable | Family::Flow => false,
        };
        if !found {
            return Ok(None);
        }
        plan.key = plan.digest(artifact).map_err(|error| super::failed("the artifact can't be read", error))?;
        Ok(Some(plan))
    }

    fn python(&mut self, artifact: &Path) -> Result<bool> {
        if let Some(text) = read(artifact, "requirements.txt")? {
            self.requirements(artifact, "requirements.txt".into(), text, 0)?;
            return Ok(self.staged.iter().any(|(_, text)| String::from_utf8_lossy(text).lines().any(asks_for_something)));
        }
        let Some(text) = read(artifact, "pyproject.toml")? else { return Ok(false) };
        self.manifest = "pyproject.toml";
        let invalid = |what: String| Error::new(Code::BuildFailed, format!("pyproject.toml: {what}"));
        let text = String::from_utf8(text).map_err(|error| invalid(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| invalid(error.to_string()))?;
        let listed = table.get("project").and_then(|project| project.get("dependencies"));
        let Some(listed) = listed else { return Ok(false) };
        let lines = listed.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>());
        let lines = lines.ok_or_else(|| invalid("`project.dependencies` is not an array of texts".into()))?;
        // One requirement a line, and none that is an option of pip instead.
        if lines.iter().any(|line| line.contains(['\n', '\r']) || line.trim_start().starts_with('-')) {
            return Err(invalid("`project.dependencies` holds what is no requirement".into()));
        }
        self.whole = lines.iter().any(|line| line.contains("file:"));
        self.staged.push(("requirements.txt".into(), lines.join("\n").into_bytes()));
        Ok(!lines.is_empty())
    }

    /// A requirements file and those that it includes, all of which decide the result.
    fn requirements(&mut self, artifact: &Path, name: String, text: Vec<u8>, depth: usize) -> Result<()> {
        for line in String::from_utf8_lossy(&text).lines().map(str::trim) {
            let included = ["-r", "-c", "--requirement", "--constraint"].iter().find_map(|option| line.strip_prefix(option));
            let included = included.map(|rest| rest.trim_start_matches(['=', ' ', '\t']).to_owned());
            if let Some(included) = included.filter(|name| !name.is_empty() && !name.contains("://")) {
                let known = self.staged.iter().any(|(name, _)| *name == included);
                if depth < INCLUDES_MAX
                    && !known
                    && is_plain(&included)
                    && let Some(text) = read(artifact, &included)?
                {
                    self.requirements(artifact, included, text, depth + 1)?;
                }
            }
            self.whole |=
                line.starts_with(['.', '/']) || line.starts_with("-e") || line.starts_with("--editable") || line.contains("file:");
        }
        self.staged.push((name, text));
        Ok(())
    }

    fn node(&mut self, artifact: &Path) -> Result<bool> {
        (self.manifest, self.installer, self.product, self.place) = ("package.json", "npm", "node_modules", "node_modules");
        let Some(text) = read(artifact, "package.json")? else { return Ok(false) };
        // What came in the bundle is what the user tested.
        if artifact.join("node_modules").exists() {
            return Ok(false);
        }
        let manifest: Value =
            serde_json::from_slice(&text).map_err(|error| Error::new(Code::BuildFailed, format!("package.json is not JSON: {error}")))?;
        let wanted: Vec<&Value> = ["dependencies", "optionalDependencies"]
            .iter()
            .filter_map(|kind| manifest.get(kind)?.as_object())
            .flat_map(|listed| listed.values())
            .collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        self.whole =
            wanted.iter().any(|version| version.as_str().is_some_and(|v| v.starts_with(['.', '/', '~']) || v.starts_with("file:")));
        self.whole |= manifest.get("workspaces").is_some();
        self.staged.push(("package.json".into(), text));
        for name in ["package-lock.json", "npm-shrinkwrap.json", ".npmrc"] {
            if let Some(text) = read(artifact, name)? {
                self.has_lock |= name != ".npmrc";
                self.staged.push((name.into(), text));
            }
        }
        let beside = self.interpreter.program.with_file_name("npm");
        self.npm = fs::canonicalize(if beside.is_file() { beside } else { on_path("npm") }).unwrap_or_default();
        if !self.npm.is_file() {
            let detail = format!("package.json has dependencies, but there is no npm beside {}", self.interpreter.program.display());
            return Err(Error::new(Code::Unsupported, detail).hint("Install npm on this host, or deploy with node_modules."));
        }
        Ok(true)
    }

    fn digest(&self, artifact: &Path) -> io::Result<Digest> {
        let program = self.interpreter.program.to_string_lossy();
        let mut parts: Vec<Vec<u8>> =
            [LAYOUT, self.installer, &self.interpreter.version, &program, ARCH].iter().map(|part| part.as_bytes().to_vec()).collect();
        for (name, text) in &self.staged {
            parts.extend([name.clone().into_bytes(), text.clone()]);
        }
        if self.whole {
            walk(artifact, Path::new(""), &mut |path| {
                parts.extend([path.to_string_lossy().into_owned().into_bytes(), fs::read(artifact.join(path))?]);
                Ok(())
            })?;
        }
        Ok(digest(parts.iter().map(Vec::as_slice)))
    }

    /// Copies, and no links: the installer may write to what it finds.
    pub(super) fn stage(&self, artifact: &Path, build: &Path) -> io::Result<()> {
        let put = |path: &Path, text: &[u8]| {
            let path = build.join(path);
            fs::create_dir_all(path.parent().unwrap_or(build))?;
            fs::write(path, text)
        };
        if self.whole {
            walk(artifact, Path::new(""), &mut |path| put(path, &fs::read(artifact.join(path))?))?;
        }
        self.staged.iter().try_for_each(|(name, text)| put(Path::new(name), text))
    }

    pub(super) fn command(&self) -> Vec<String> {
        match self.interpreter.family {
            Family::Python => {
                // -I: a pip.py among the user's files is not the installer.
                let pip = [&*self.interpreter.program.to_string_lossy(), "-I", "-m", "pip", "install"].map(str::to_owned);
                let quiet = ["--no-input", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check"].map(str::to_owned);
                let what = ["--target", self.product, "-r", "requirements.txt"].map(str::to_owned);
                [&pip[..], &quiet, &what].concat()
            }
            Family::Node => {
                let (node, npm) = (self.interpreter.program.to_string_lossy().into_owned(), self.npm.to_string_lossy().into_owned());
                // As a script it would look for a node by itself.
                let start = if self.npm.extension().is_some_and(|it| it == "js") { vec![node, npm] } else { vec![npm] };
                let verb = if self.has_lock { "ci" } else { "install" };
                let options = [verb, "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=warn"].map(str::to_owned);
                [&start[..], &options].concat()
            }
            Family::Java | Family::Executable | Family::Flow => Vec::new(),
        }
    }

    /// The installer's own files, where they are not the interpreter's.
    pub(super) fn needs(&self) -> Vec<PathBuf> {
        let package = self.npm.ancestors().skip(1).find(|tree| tree.join("package.json").is_file()).map(Path::to_owned);
        let system = |tree: &PathBuf| tree.starts_with("/usr") || self.interpreter.mounts.iter().any(|mount| tree.starts_with(mount));
        package.or_else(|| self.npm.is_absolute().then(|| self.npm.clone())).filter(|tree| !system(tree)).into_iter().collect()
    }

    pub(super) fn hint(&self) -> String {
        match (self.interpreter.family, self.has_lock) {
            (Family::Node, true) => "Check package.json and its lock: `npm ci` wants them to agree.".into(),
            (_, _) => format!(
                "Check the names and versions in {} for {} {}; a private index is configured in the {} files of the user that runs mote.",
                self.manifest,
                self.interpreter.family.as_str(),
                self.interpreter.version,
                self.installer
            ),
        }
    }
}

/// Leaves only the product.
pub(super) fn clean(build: &Path, product: &str) -> io::Result<()> {
    for entry in fs::read_dir(build)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            _ if entry.file_name() == product => {}
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Bytecode for a tree of the jail whose files will be seen at `seen_at`.
pub(super) fn compile(interpreter: &Interpreter, tree: &str, seen_at: &str) -> Vec<String> {
    let program = &*interpreter.program.to_string_lossy();
    let compileall = [program, "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"].map(str::to_owned);
    let what = ["-x", r"/\.mote/|/node_modules/", "-s", tree, "-p", seen_at, tree].map(str::to_owned);
    [&compileall[..], &what].concat()
}

fn asks_for_something(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

/// A file of the artifact, not a path out of it.
fn is_plain(name: &str) -> bool {
    !name.starts_with('/') && name.split('/').all(|part| part != "..")
}

fn read(artifact: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = artifact.join(name);
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() > MANIFEST_BYTES_MAX => {
            Err(Error::new(Code::BuildFailed, format!("{name} has {} bytes, more than {MANIFEST_BYTES_MAX}", meta.len())))
        }
        Ok(meta) if meta.is_file() => fs::read(&path).map(Some).map_err(|error| super::failed("the artifact can't be read", error)),
        _ => Ok(None),
    }
}

/// Files in order, without what a build made.
fn walk(root: &Path, at: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(root.join(at))?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (at.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != "node_modules" && entry.file_name() != ".mote" {
            walk(root, &path, each)?;
        } else if kind.is_file() {
            each(&path)?;
        }
    }
    Ok(())
}

fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|place| place.is_file()).unwrap_or_default()
}
