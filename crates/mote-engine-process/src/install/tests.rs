//! With the real installers, the host's Python and Node, and small packages of the registries.

use std::sync::Mutex;

use mote_core::clock::SystemClock;
use mote_core::function::Runtime;

use crate::runtime::Interpreters;

use super::*;

struct Bench {
    directory: tempfile::TempDir,
    installer: Installer,
    interpreter: Arc<Interpreter>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    async fn new(family: Family) -> Bench {
        let clock = Arc::new(SystemClock::new());
        let interpreter = Interpreters::new(clock.clone()).find(&Runtime::from(family)).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let installer = Installer::new(directory.path().join("cache"), clock);
        Bench { directory, installer, interpreter, told: Arc::default() }
    }

    async fn install(&self, name: &str, files: &[(&str, &str)]) -> (PathBuf, Result<Duration>) {
        let artifact = self.directory.path().join(name);
        for (path, text) in files {
            let path = artifact.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let told = Arc::clone(&self.told);
        let progress = Progress::new(move |line| told.lock().unwrap().push(line));
        let result = self.installer.install(&artifact, &self.interpreter, &progress).await;
        (artifact, result)
    }
}

#[tokio::test]
async fn pip_installs_once_for_the_same_content() {
    let bench = Bench::new(Family::Python).await;
    let (first, took) = bench.install("first", &[("requirements.txt", "six==1.16.0\n")]).await;
    assert!(took.unwrap() > Duration::ZERO);
    assert!(first.join(".mote/site-packages/six.py").is_file());
    assert!(first.join(".mote/site-packages/__pycache__").is_dir());
    assert!(bench.told.lock().unwrap().iter().any(|line| line.contains("six")), "the installer's lines are told");
    let (second, took) = bench.install("second", &[("requirements.txt", "six==1.16.0\n")]).await;
    assert_eq!(took.unwrap(), Duration::ZERO);
    assert!(second.join(".mote/site-packages/six.py").is_file());
    // The same, as another file says it, and with the project itself left out.
    let project = "[project]\nname = 'p'\nversion = '1'\ndependencies = ['six==1.16.0']\n";
    let (third, took) = bench.install("third", &[("pyproject.toml", project)]).await;
    took.unwrap();
    assert!(third.join(".mote/site-packages/six.py").is_file());
}

#[tokio::test]
async fn what_pip_refuses_is_said_in_its_own_words() {
    let bench = Bench::new(Family::Python).await;
    let (_, result) = bench.install("a", &[("requirements.txt", "-r more.txt\n"), ("more.txt", "six==0.0.0.1\n")]).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::BuildFailed);
    assert!(error.detail().contains("six==0.0.0.1"), "{error}");
    assert!(error.hint_text().unwrap().contains("requirements.txt"));
    let left: Vec<_> = fs::read_dir(bench.directory.path().join("cache")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn npm_installs_once_for_the_same_content() {
    let bench = Bench::new(Family::Node).await;
    let package = r#"{"dependencies":{"is-number":"7.0.0"},"devDependencies":{"left-pad":"1.3.0"}}"#;
    let (first, took) = bench.install("first", &[("package.json", package)]).await;
    assert!(took.unwrap() > Duration::ZERO);
    assert!(first.join("node_modules/is-number/index.js").is_file());
    assert!(!first.join("node_modules/left-pad").exists());
    let (second, took) = bench.install("second", &[("package.json", package)]).await;
    assert_eq!(took.unwrap(), Duration::ZERO);
    assert!(second.join("node_modules/is-number/index.js").is_file());
}

#[tokio::test]
async fn what_npm_refuses_is_said_in_its_own_words() {
    let bench = Bench::new(Family::Node).await;
    let (_, result) = bench.install("a", &[("package.json", r#"{"dependencies":{"is-number":"0.0.99"}}"#)]).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::BuildFailed);
    assert!(error.detail().contains("is-number"), "{error}");
}

#[tokio::test]
async fn nothing_is_done_where_nothing_is_asked() {
    let python = Bench::new(Family::Python).await;
    let check = async |bench: &Bench, name: &str, files: &[(&str, &str)]| {
        assert_eq!(bench.install(name, files).await.1.unwrap(), Duration::ZERO, "{name}");
        assert!(!bench.directory.path().join("cache").exists(), "{name}");
    };
    check(&python, "no-manifest", &[("a.py", "")]).await;
    check(&python, "only-comments", &[("requirements.txt", "# none\n\n")]).await;
    check(&python, "a-tool's-file", &[("pyproject.toml", "[tool.x]\n")]).await;
    let node = Bench::new(Family::Node).await;
    check(&node, "no-dependencies", &[("package.json", "{}")]).await;
    let bundled = [("package.json", r#"{"dependencies":{"is-number":"7.0.0"}}"#), ("node_modules/is-number/index.js", "")];
    check(&node, "bundled", &bundled).await;
}
