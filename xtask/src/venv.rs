//! Python and Node tools that a task needs, installed once below `target/xtask` and kept until
//! what is asked for changes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::places::{fresh, own};
use crate::shell::capture;

const INSTALL: Duration = Duration::from_secs(600);

/// A virtual environment with these requirements (lines of a requirements.txt).
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    pub(crate) fn with(name: &str, requirements: &str) -> Result<Venv> {
        Venv::made(name, requirements, &[])
    }

    /// Without what these depend on.
    pub(crate) fn alone(name: &str, requirements: &str) -> Result<Venv> {
        Venv::made(name, requirements, &["--no-deps"])
    }

    fn made(name: &str, requirements: &str, options: &[&str]) -> Result<Venv> {
        let place = format!("venv-{name}");
        let (venv, stamp) = (Venv { dir: own(&place) }, own(&place).join("requirements.txt"));
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
            return Ok(venv);
        }
        fresh(&place)?;
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        capture(Command::new(python).args(["-m", "venv"]).arg(&venv.dir), INSTALL)
            .map_err(|e| format!("{e}\nA Python 3.9 or newer with its venv module is needed."))?;
        let wanted = venv.dir.join("wanted.txt");
        std::fs::write(&wanted, requirements)?;
        let mut pip = venv.python();
        capture(
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(options).arg("--requirement").arg(&wanted),
            INSTALL,
        )?;
        // Last, so that an install that was cut short is made anew.
        std::fs::rename(wanted, stamp)?;
        Ok(venv)
    }

    pub(crate) fn python(&self) -> Command {
        Command::new(self.bin().join("python"))
    }

    /// Where its packages lie.
    pub(crate) fn packages(&self) -> Result<PathBuf> {
        let found =
            std::fs::read_dir(self.dir.join("lib"))?.flatten().map(|python| python.path().join("site-packages")).find(|path| path.is_dir());
        found.ok_or_else(|| format!("{} has no site-packages", self.dir.display()).into())
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }
}

/// A folder whose `node_modules` holds these packages (`name@version`).
pub(crate) fn node_modules(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let (place, wanted) = (format!("node-{name}"), packages.join(" "));
    let stamp = own(&place).join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(own(&place));
    }
    let dir = fresh(&place)?;
    std::fs::write(dir.join("package.json"), r#"{"private":true}"#)?;
    capture(
        Command::new("npm").current_dir(&dir).args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).args(packages),
        INSTALL,
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(dir)
}

/// The sample photograph, from a package that ships it under CC BY 2.0 (credit in README.md).
pub(crate) fn photo(python: &Venv) -> Result<PathBuf> {
    let photo = own("photo/china.jpg");
    if !photo.exists() {
        std::fs::create_dir_all(own("photo"))?;
        let script = include_str!("demo/photo.py");
        capture(python.python().args(["-c", script]).arg(own("photo")), INSTALL)?;
    }
    Ok(photo)
}
