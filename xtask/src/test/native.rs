//! Functions in languages that have to be built first, by the tools that their users have.
//!
//! What they need is built once for all of them: of Rust in one target folder, of Go and Java in the
//! tools' own caches. A host may lack a tool; whoever asks says then what was left out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::Result;
use crate::places::own;
use crate::shell::{cargo, show};

const LIMIT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    Rust,
    Go,
    Java,
}

impl Language {
    /// Makes of a source folder the bundle that a user would deploy; `false`: nothing here builds this language.
    pub(super) fn build(self, source: &Path, bundle: &Path) -> Result<bool> {
        std::fs::create_dir_all(bundle)?;
        let program = bundle.join("bootstrap");
        let built = match self {
            Language::Rust => {
                std::fs::copy(rust(source)?, program)?;
                return Ok(true);
            }
            Language::Go => go(source, &program),
            Language::Java => java(source, bundle),
        };
        match built {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("nothing here that builds {self:?}: {} is left out", source.display());
                Ok(false)
            }
            built => Ok(built.map(|()| true)?),
        }
    }
}

/// The program of a package whose only target it is.
fn rust(source: &Path) -> Result<PathBuf> {
    let target = own("native-rust");
    let mut build = cargo();
    build.args(["build", "--locked", "--manifest-path"]).arg(source.join("Cargo.toml")).arg("--target-dir").arg(&target);
    show(&mut build, LIMIT)?;
    let manifest: toml::Table = std::fs::read_to_string(source.join("Cargo.toml"))?.parse()?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    Ok(target.join("debug").join(name.ok_or("a package without a name")?))
}

/// Without C, so that the program runs wherever a function does.
fn go(source: &Path, program: &Path) -> io::Result<()> {
    run(Command::new("go").current_dir(source).args(["build", "-o"]).arg(program).arg(".").env("CGO_ENABLED", "0"))
}

/// Its classes, and in `lib` the jars that it needs.
fn java(source: &Path, bundle: &Path) -> io::Result<()> {
    let lib = bundle.join("lib");
    run(Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(source.join("pom.xml"))
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", lib.display())))?;
    // As old as the oldest that mote takes.
    let mut compile = Command::new("javac");
    compile.args(["--release", "11", "-cp", &format!("{}/*", lib.display()), "-d"]).arg(bundle);
    for file in std::fs::read_dir(source)? {
        let file = file?.path();
        if file.extension().is_some_and(|ending| ending == "java") {
            compile.arg(file);
        }
    }
    run(&mut compile)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{}: {status}", command.get_program().display()))) }
}
