//! Dependencies with the real installers, the host's Python and Node, and small packages of the
//! registries; and what code of a package can and can't do while it is installed.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mote_core::engine::{Engine, Prepared, Progress};
use mote_core::function::Function;
use mote_core::{Code, Result};
use serde_json::Value;

use crate::house::{House, bundle, sleepers};

const SIX: &str = "import six\n\ndef f():\n    return six.__version__\n";
const IS_NUMBER: &str = "const is = require('is-number');\nmodule.exports = function f() { return is('7'); };\n";
/// A build backend needs nothing of a registry, so these tests see the package's code alone.
const BACKEND: &str = include_str!("install_backend.py");
const PROBE: &str = include_str!("install_probe.cjs");

struct Deploy<'a> {
    house: &'a House,
    told: Arc<Mutex<Vec<String>>>,
}

impl Deploy<'_> {
    async fn of(&self, runtime: &str, entry: &str, files: &[(&str, &str)]) -> Result<(Arc<Function>, Prepared)> {
        let told = self.told.clone();
        let progress = Progress::new(move |line| told.lock().unwrap().push(line));
        let function = self.house.function(runtime, entry, |_| {});
        let prepared = self.house.engine.prepare(&function, &bundle(files), Default::default(), progress).await?;
        Ok((Arc::new(Function { artifact: prepared.artifact, signature: prepared.signature.clone(), ..function }), prepared))
    }

    async fn python(&self, files: &[(&str, &str)]) -> Result<(Arc<Function>, Prepared)> {
        self.of("python", "f.py:f", files).await
    }

    async fn node(&self, files: &[(&str, &str)]) -> Result<(Arc<Function>, Prepared)> {
        self.of("node", "f.js", files).await
    }

    fn told(&self, part: &str) -> bool {
        self.told.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

fn deploy(house: &House) -> Deploy<'_> {
    Deploy { house, told: Arc::default() }
}

fn cached(house: &House) -> Vec<std::ffi::OsString> {
    let Ok(entries) = std::fs::read_dir(house.place.path().join("cache/dependencies")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[tokio::test]
async fn pip_installs_once_for_the_same_content() {
    let house = House::new();
    let deploy = deploy(&house);
    let (f, first) = deploy.python(&[("f.py", SIX), ("requirements.txt", "six==1.16.0\n")]).await.unwrap();
    assert!(first.dependencies > Duration::ZERO);
    assert!(deploy.told("Collecting six"), "the installer's lines are told");
    assert_eq!(house.call(&f, "", "").await.unwrap(), "1.16.0");
    let again = format!("{SIX}\n# changed\n");
    let (f, second) = deploy.python(&[("f.py", &again), ("requirements.txt", "six==1.16.0\n")]).await.unwrap();
    assert_eq!(second.dependencies, Duration::ZERO);
    assert_eq!(house.call(&f, "", "").await.unwrap(), "1.16.0");
    // The same, as another file says it, and with the project itself left out.
    let project = "[project]\nname = 'p'\nversion = '1'\ndependencies = ['six==1.16.0']\n";
    deploy.python(&[("f.py", SIX), ("pyproject.toml", project)]).await.unwrap();
    let artifact = house.place.path().join("artifacts").join(first.artifact.to_string());
    assert!(artifact.join(".mote/site-packages/__pycache__").is_dir() && artifact.join("__pycache__").is_dir());
    assert_eq!(cached(&house).len(), 2, "each way to ask for it, and nothing unfinished");
}

#[tokio::test]
async fn npm_installs_once_for_the_same_content() {
    let house = House::new();
    let deploy = deploy(&house);
    let package = r#"{"dependencies":{"is-number":"7.0.0"},"devDependencies":{"left-pad":"1.3.0"}}"#;
    let (f, first) = deploy.node(&[("f.js", IS_NUMBER), ("package.json", package)]).await.unwrap();
    assert!(first.dependencies > Duration::ZERO);
    assert_eq!(house.call(&f, "", "").await.unwrap(), "true");
    let artifact = house.place.path().join("artifacts").join(first.artifact.to_string());
    assert!(!artifact.join("node_modules/left-pad").exists());
    let again = format!("{IS_NUMBER}// changed\n");
    let (_, second) = deploy.node(&[("f.js", &again), ("package.json", package)]).await.unwrap();
    assert_eq!(second.dependencies, Duration::ZERO);
    assert_eq!(cached(&house).len(), 1);
}

#[tokio::test]
async fn what_an_installer_refuses_is_said_in_its_own_words() {
    let house = House::new();
    let deploy = deploy(&house);
    let files = [("f.py", SIX), ("requirements.txt", "-r more.txt\n"), ("more.txt", "six==0.0.0.1\n")];
    let error = deploy.python(&files).await.unwrap_err();
    assert_eq!(error.code(), Code::BuildFailed, "{error:?}");
    assert!(error.detail().contains("six==0.0.0.1"), "{error}");
    assert!(error.hint_text().unwrap().contains("requirements.txt"));
    let error = deploy.node(&[("f.js", IS_NUMBER), ("package.json", r#"{"dependencies":{"is-number":"0.0.99"}}"#)]).await.unwrap_err();
    assert_eq!(error.code(), Code::BuildFailed, "{error:?}");
    assert!(error.detail().contains("is-number"), "{error}");
    assert!(cached(&house).is_empty(), "{:?}", cached(&house));
}

#[tokio::test]
async fn nothing_is_done_where_nothing_is_asked() {
    let house = House::new();
    let deploy = deploy(&house);
    const PY: &str = "def f():\n    return 1\n";
    const JS: &str = "module.exports = function f() { return 1; };\n";
    for files in
        [&[("f.py", PY)][..], &[("f.py", PY), ("requirements.txt", "# none\n\n")], &[("f.py", PY), ("pyproject.toml", "[tool.x]\n")]]
    {
        assert_eq!(deploy.python(files).await.unwrap().1.dependencies, Duration::ZERO, "{files:?}");
    }
    let bundled = [("f.js", JS), ("package.json", r#"{"dependencies":{"x":"7.0.0"}}"#), ("node_modules/x/index.js", "")];
    for files in [&[("f.js", JS), ("package.json", "{}")][..], &bundled] {
        assert_eq!(deploy.node(files).await.unwrap().1.dependencies, Duration::ZERO, "{files:?}");
    }
    assert!(cached(&house).is_empty());
}

fn hostile(house: &House, action: &str) -> String {
    std::fs::write(house.place.path().join("secret"), "secret").unwrap();
    let place = house.place.path().display().to_string();
    format!("PLACE = {place:?}\nACTION = {action:?}\n{BACKEND}")
}

const PROJECT: &str = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
const SEEN: &str = "import seen\n\ndef f():\n    return seen.SEEN\n";

fn check(seen: &Value) {
    let is = |name: &str, expect: Value| assert_eq!(seen[name], expect, "{name} of {seen:#}");
    is("uid", 64100.into());
    is("secret", false.into());
    is("wrote", serde_json::json!([]));
    is("pids of others", serde_json::json!([]));
}

#[tokio::test]
async fn code_that_pip_runs_is_in_a_jail() {
    let house = House::new();
    let backend = hostile(&house, "look");
    let files = [("f.py", SEEN), ("requirements.txt", "./dep\n"), ("dep/pyproject.toml", PROJECT), ("dep/backend.py", &backend)];
    let (f, _) = deploy(&house).python(&files).await.unwrap();
    check(&serde_json::from_str(&house.call(&f, "", "").await.unwrap()).unwrap());
}

#[tokio::test]
async fn code_that_npm_runs_is_in_a_jail() {
    let house = House::new();
    std::fs::write(house.place.path().join("secret"), "secret").unwrap();
    let probe = format!("const PLACE = {:?};\n{PROBE}", house.place.path().display().to_string());
    let files = [
        ("f.js", "module.exports = function f() { return require('./node_modules/seen.json'); };\n"),
        ("package.json", r#"{"dependencies":{"dep":"file:./dep"}}"#),
        ("dep/package.json", r#"{"name":"dep","version":"1.0.0","scripts":{"install":"node probe.cjs"}}"#),
        ("dep/probe.cjs", &probe),
    ];
    let (f, _) = deploy(&house).node(&files).await.unwrap();
    check(&serde_json::from_str(&house.call(&f, "", "").await.unwrap()).unwrap());
}

/// The packages' directory as a link would have mote read, and link to, whatever it points at.
#[tokio::test]
async fn a_link_in_the_place_of_the_packages_is_not_followed() {
    let house = House::new();
    let backend = hostile(&house, "link");
    let files = [("f.py", SEEN), ("requirements.txt", "./dep\n"), ("dep/pyproject.toml", PROJECT), ("dep/backend.py", &backend)];
    let error = deploy(&house).python(&files).await.unwrap_err();
    assert_eq!(error.code(), Code::BuildFailed, "{error:?}");
    assert!(error.detail().contains("site-packages is no directory"), "{error}");
    assert!(cached(&house).is_empty());
}

#[tokio::test]
async fn a_deploy_that_is_dropped_leaves_no_process_and_no_file() {
    let house = House::new();
    // This test also runs as another user, maybe at the same time.
    let seconds = 1_000_000 + std::process::id();
    let backend = hostile(&house, &format!("sleep {seconds}"));
    let files = [("f.py", SEEN), ("requirements.txt", "./dep\n"), ("dep/pyproject.toml", PROJECT), ("dep/backend.py", &backend)];
    {
        let deploy = deploy(&house);
        let stuck = deploy.python(&files);
        tokio::pin!(stuck);
        let runs = async {
            while sleepers(seconds) < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { biased; done = &mut stuck => panic!("it did not stay: {:?}", done.err()), () = runs => {} }
    }
    while sleepers(seconds) > 0 || !cached(&house).is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Run by the two tests below, with a home whose files only mote's user can read.
#[tokio::test]
#[ignore = "needs the home that users_files_are_honoured gives it"]
async fn with_a_home() {
    let house = House::new();
    let error =
        deploy(&house).node(&[("f.js", IS_NUMBER), ("package.json", r#"{"dependencies":{"is-number":"7.0.0"}}"#)]).await.unwrap_err();
    assert!(error.detail().contains("127.0.0.1:9"), "{error}");
    let error = deploy(&house).python(&[("f.py", SIX), ("requirements.txt", "six\n")]).await.unwrap_err();
    assert!(error.detail().contains("127.0.0.1:9"), "{error}");
}

fn home(within: &Path) -> std::path::PathBuf {
    let home = within.join("home");
    std::fs::create_dir_all(home.join(".pip")).unwrap();
    std::fs::write(home.join(".npmrc"), "registry=http://127.0.0.1:9/\nfetch-retries=0\n").unwrap();
    std::fs::write(home.join(".pip/pip.conf"), "[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\n").unwrap();
    for path in [home.join(".npmrc"), home.join(".pip/pip.conf")] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    home
}

#[test]
fn users_files_are_honoured() {
    let place = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "install::with_a_home", "--ignored"])
        .env("HOME", home(place.path()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
