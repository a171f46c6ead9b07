//! Finds the interpreter that a runtime names, among those that the host has.
//!
//! A name on PATH may be a shim that picks a version when it runs, so each candidate is asked what
//! it really is, once. `python` is the host's own `python3`, not its newest: an interpreter that
//! somebody put beside it must not change what runs. Nothing is downloaded.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::function::{Family, Runtime};
use mote_core::{Code, Error, Result};
use tokio::process::Command;
use tokio::sync::Mutex;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const PYTHON_MIN: [u32; 2] = [3, 9];
const NODE_MIN: [u32; 2] = [20, 0];
const JAVA_MIN: [u32; 2] = [11, 0];

/// A program that runs code, as it described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    pub family: Family,
    /// The real file, behind shims and links.
    pub program: PathBuf,
    /// All of it: `3.12.1`.
    pub version: String,
    /// What a jail must show for it to start, besides the system's own directories.
    pub mounts: Vec<PathBuf>,
}

impl Interpreter {
    /// `from` inclusive, `to` exclusive.
    pub fn is_between(&self, from: [u32; 2], to: [u32; 2]) -> bool {
        let version = numbers(&self.version);
        from <= version && version < to
    }
}

pub struct Interpreters {
    clock: Arc<dyn Clock>,
    /// By candidate; none for one that does not answer.
    known: Mutex<HashMap<PathBuf, Option<Arc<Interpreter>>>>,
    search: Vec<PathBuf>,
}

impl Interpreters {
    /// Searches PATH and the directories where version tools and packages put interpreters.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut search: Vec<PathBuf> = env::split_paths(&path).filter(|path| path.is_absolute()).collect();
        let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        for versions in [home.join(".pyenv/versions"), home.join(".nvm/versions/node"), home.join(".nodenv/versions"), "/opt".into()] {
            search.extend(children(&versions).into_iter().map(|child| child.join("bin")));
        }
        search.extend(["/usr/local/bin".into(), "/usr/bin".into()]);
        Interpreters::within(search, clock)
    }

    /// Searches these directories alone.
    pub fn within(search: Vec<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Interpreters { clock, known: Mutex::default(), search }
    }

    /// The first one in the order of the search that is of the version asked for.
    pub async fn find(&self, runtime: &Runtime) -> Result<Arc<Interpreter>> {
        for candidate in self.candidates(runtime) {
            if let Some(found) = self.ask(runtime.family, &candidate).await
                && is_version(&found.version, &runtime.version)
                && numbers(&found.version) >= oldest(runtime.family)
            {
                return Ok(found);
            }
        }
        Err(self.missing(runtime).await)
    }

    /// Every interpreter of a family that answers, by version.
    pub async fn all(&self, family: Family) -> Vec<Arc<Interpreter>> {
        let mut found: Vec<Arc<Interpreter>> = Vec::new();
        for candidate in self.existing(&every_name(family)) {
            if let Some(one) = self.ask(family, &candidate).await
                && found.iter().all(|other| other.program != one.program)
            {
                found.push(one);
            }
        }
        found.sort_by_key(|one| numbers(&one.version));
        found
    }

    fn candidates(&self, runtime: &Runtime) -> Vec<PathBuf> {
        let short: Vec<&str> = runtime.version.splitn(3, '.').take(2).collect();
        let short = short.join(".");
        let names = match (runtime.family, short.as_str()) {
            (Family::Executable | Family::Flow, _) => Vec::new(),
            (Family::Python, "" | "3") => vec!["python3".to_owned(), "python".to_owned()],
            (Family::Python, version) => vec![format!("python{version}"), "python3".to_owned()],
            (Family::Java, _) => vec!["java".to_owned()],
            (Family::Node, "") => vec!["node".to_owned(), "nodejs".to_owned()],
            (Family::Node, version) => {
                let major = version.split('.').next().unwrap_or_default();
                vec![format!("node{major}"), format!("node-{major}"), "node".to_owned(), "nodejs".to_owned()]
            }
        };
        self.existing(&names)
    }

    /// A name's every place comes before the next name's.
    fn existing(&self, names: &[String]) -> Vec<PathBuf> {
        let places = names.iter().flat_map(|name| self.search.iter().map(move |directory| directory.join(name)));
        let mut seen = BTreeSet::new();
        places.filter(|place| place.is_file() && seen.insert(place.clone())).collect()
    }

    async fn ask(&self, family: Family, candidate: &Path) -> Option<Arc<Interpreter>> {
        let mut known = self.known.lock().await;
        if let Some(answer) = known.get(candidate) {
            return answer.clone();
        }
        let answer = describe(family, candidate, &*self.clock).await.map(Arc::new);
        known.insert(candidate.to_owned(), answer.clone());
        answer
    }

    async fn missing(&self, runtime: &Runtime) -> Error {
        let found: Vec<String> =
            self.all(runtime.family).await.iter().map(|one| format!("{} ({})", one.version, one.program.display())).collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        let [major, minor] = oldest(runtime.family);
        Error::new(Code::Unsupported, format!("this host has no {runtime}; of that family it has: {found}"))
            .hint(format!("Install it so that it is on mote's PATH, or name another in `runtime`; mote needs {major}.{minor} or later."))
    }
}

fn every_name(family: Family) -> Vec<String> {
    match family {
        Family::Python => ["python3".to_owned()].into_iter().chain((9..=20).map(|minor| format!("python3.{minor}"))).collect(),
        Family::Node => ["node", "nodejs"].into_iter().map(str::to_owned).chain((20..=30).map(|major| format!("node{major}"))).collect(),
        Family::Java => vec!["java".to_owned()],
        Family::Executable | Family::Flow => Vec::new(),
    }
}

fn oldest(family: Family) -> [u32; 2] {
    match family {
        Family::Python => PYTHON_MIN,
        Family::Node => NODE_MIN,
        Family::Java => JAVA_MIN,
        Family::Executable | Family::Flow => [0, 0],
    }
}

/// Major and minor; what is no number counts as 0.
fn numbers(version: &str) -> [u32; 2] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}

/// `3.12.1` is a `3.12`; everything is what was not asked for.
fn is_version(version: &str, wanted: &str) -> bool {
    wanted.is_empty() || version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Newest first, so that `python3.12` of two 3.12s is the later.
fn children(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Its real path, version and prefix, a line each.
async fn describe(family: Family, candidate: &Path, clock: &dyn Clock) -> Option<Interpreter> {
    let mut command = Command::new(candidate);
    match family {
        Family::Python => command.args([
            "-I",
            "-S",
            "-c",
            "import sys; print(getattr(sys, '_base_executable', '') or sys.executable, '%d.%d.%d' % sys.version_info[:3], \
             sys.base_prefix, sep='\\n')",
        ]),
        Family::Node => command.args(["-p", "[process.execPath, process.versions.node, ''].join('\\n')"]),
        Family::Java => command.args(["-XshowSettings:properties", "-version"]),
        Family::Executable | Family::Flow => return None,
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::select! {
        output = command.output() => output.ok().filter(|output| output.status.success())?,
        () = clock.sleep(ANSWER_WITHIN) => return None,
    };
    if family == Family::Java {
        return java(&String::from_utf8(output.stderr).ok()?);
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let program = fs::canonicalize(lines.next()?).ok()?;
    let version = lines.next()?.to_owned();
    let mounts = mounts(family, &program, Path::new(lines.next()?));
    Some(Interpreter { family, program, version, mounts })
}

/// By its properties, which it prints as `name = value`.
fn java(told: &str) -> Option<Interpreter> {
    let property = |name: &str| told.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix("= "));
    let home = fs::canonicalize(property("java.home")?).ok()?;
    let program = fs::canonicalize(home.join("bin/java")).ok()?;
    let version = property("java.version")?.to_owned();
    let mounts = mounts(Family::Java, &program, &home);
    Some(Interpreter { family: Family::Java, program, version, mounts })
}

/// Never a directory that holds more than an installation: `~/bin/node` must not show all of `~`.
fn mounts(family: Family, program: &Path, prefix: &Path) -> Vec<PathBuf> {
    let system = |path: &Path| ["/usr", "/bin", "/lib", "/lib64"].iter().any(|root| path.starts_with(root));
    let installation = match family {
        Family::Python => fs::canonicalize(prefix).ok().filter(|prefix| prefix.join("lib").is_dir() && prefix.parent().is_some()),
        Family::Node => program.parent().and_then(Path::parent).filter(|root| root.join("include/node").is_dir()).map(Path::to_owned),
        Family::Java => Some(prefix.to_owned()).filter(|home| home.join("lib").is_dir() && program.starts_with(home)),
        Family::Executable | Family::Flow => None,
    };
    let mut found: Vec<PathBuf> = installation.into_iter().filter(|root| !system(root)).collect();
    if !system(program) && !found.iter().any(|root| program.starts_with(root)) {
        found.push(program.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use mote_core::clock::SystemClock;

    use super::*;

    /// A directory of programs that answer as an interpreter of that version does.
    fn host(programs: &[(&str, &str)]) -> (tempfile::TempDir, Interpreters) {
        let directory = tempfile::tempdir().unwrap();
        for (name, version) in programs {
            let path = directory.path().join(name);
            crate::script::write(&path, &format!("#!/bin/sh\nprintf '%s\\n' \"$0\" {version} /usr\n"));
        }
        let interpreters = Interpreters::within(vec![directory.path().to_owned()], Arc::new(SystemClock::new()));
        (directory, interpreters)
    }

    #[tokio::test]
    async fn the_plain_name_is_the_hosts_own_and_not_the_newest() {
        let (_directory, host) = host(&[("python3", "3.11.2"), ("python3.13", "3.13.0"), ("node", "20.20.2")]);
        let check = async |runtime: &str, version: &str| {
            let found = host.find(&runtime.parse().unwrap()).await.unwrap();
            assert_eq!(found.version, version, "{runtime}");
        };
        check("python", "3.11.2").await;
        check("python3", "3.11.2").await;
        check("python3.11", "3.11.2").await;
        check("python3.13", "3.13.0").await;
        check("python3.13.0", "3.13.0").await;
        check("node", "20.20.2").await;
        check("node20", "20.20.2").await;
    }

    #[tokio::test]
    async fn what_is_not_there_says_what_is() {
        let (_directory, host) = host(&[("python3", "3.8.1"), ("python3.12", "3.12.4"), ("python3.11", "broken; exit 1")]);
        let check = async |runtime: &str| {
            let error = host.find(&runtime.parse().unwrap()).await.unwrap_err();
            assert_eq!(error.code(), Code::Unsupported);
            error.detail().to_owned()
        };
        assert!(check("python3.1").await.contains("3.12.4"));
        assert!(check("python3.11").await.contains("3.12.4"));
        // Too old, though it is there.
        assert!(check("python").await.contains("3.8.1"));
        assert!(check("node22").await.contains("it has: none"));
    }

    #[test]
    fn a_home_directory_is_never_mounted() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("bin/node");
        assert_eq!(mounts(Family::Node, &program, Path::new("")), [program]);
        assert!(mounts(Family::Node, Path::new("/usr/bin/node"), Path::new("")).is_empty());
    }
}
