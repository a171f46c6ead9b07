//! From a bundle to an artifact: files, transpiled source, installed dependencies, in one
//! directory that is whole or not there.

use std::time::Duration;

use mote_core::bundle::Bundle;
use mote_core::engine::{Preparing, Progress};
use mote_core::function::{Digest, Family, Function};
use mote_core::{Code, Error, Result};

use crate::artifact::{self, Building};
use crate::engine::{Workshop, blocking};
use crate::host::Host;
use crate::jail::program::interpreter_of;
use crate::java;
use crate::runtime::Interpreter;
use crate::transpile;

pub(crate) struct Built {
    pub(crate) digest: Digest,
    pub(crate) dependencies: Duration,
    /// Only this deploy wants it to be there.
    fresh: bool,
}

impl Built {
    /// Takes back what this deploy made, and only that.
    pub(crate) async fn discard(&self, host: &Host) {
        if self.fresh {
            host.artifacts.forget(self.digest).await;
        }
    }
}

pub(crate) async fn artifact(
    workshop: &Workshop,
    function: &Function,
    code: &Bundle,
    how: Preparing,
    progress: &Progress,
) -> Result<Built> {
    let interpreter = match function.runtime.family {
        Family::Executable | Family::Flow => {
            check_executable(function, code)?;
            None
        }
        Family::Java => {
            java::check(function, code)?;
            Some(workshop.interpreters.find(&function.runtime).await?)
        }
        Family::Python | Family::Node => Some(workshop.interpreters.find(&function.runtime).await?),
    };
    let digest = digest(function, code, interpreter.as_deref(), how);
    let target = workshop.host.artifacts.path(digest);
    let fresh = workshop.host.artifacts.claim(digest);
    if target.is_dir() {
        return Ok(Built { digest, dependencies: Duration::ZERO, fresh });
    }
    let building = {
        let (under, code) = (workshop.host.settings.artifacts.clone(), code.clone());
        blocking(move || {
            let building = Building::new(&under)?;
            artifact::write(&code, &building.path)?;
            Ok(building)
        })
        .await?
    };
    let dependencies = match interpreter {
        Some(interpreter) if how.installs => finish(workshop, &building, &interpreter, progress).await?,
        Some(_) | None => Duration::ZERO,
    };
    blocking(move || building.finish(&target)).await?;
    Ok(Built { digest, dependencies, fresh: true })
}

/// What the files need beyond being there.
async fn finish(workshop: &Workshop, building: &Building, interpreter: &Interpreter, progress: &Progress) -> Result<Duration> {
    if interpreter.family == Family::Node {
        let directory = building.path.clone();
        let translate = tokio::task::spawn_blocking(move || transpile::build(&directory)).await;
        let files = translate.map_err(|error| Error::internal("the translation was lost").caused_by(error))??;
        if files > 0 {
            progress.tell(format!("translated {files} TypeScript file{}", if files == 1 { "" } else { "s" }));
        }
    }
    workshop.installer.install(building, interpreter, progress).await
}

/// Lock files are part of the bundle, so its digest covers the dependencies; the interpreter and
/// this version of mote decide what becomes of them.
fn digest(function: &Function, code: &Bundle, interpreter: Option<&Interpreter>, how: Preparing) -> Digest {
    let runtime = function.runtime.family.as_str();
    let (program, version) = interpreter.map_or_else(Default::default, |i| (i.program.to_string_lossy().into_owned(), i.version.clone()));
    artifact::digest([
        &code.digest().0[..],
        runtime.as_bytes(),
        program.as_bytes(),
        version.as_bytes(),
        env!("CARGO_PKG_VERSION").as_bytes(),
        if how.installs { b"" } else { b"as it is" },
    ])
}

/// A program that could never run here is refused now, with the reason, and not at its first call.
fn check_executable(function: &Function, code: &Bundle) -> Result<()> {
    let entry = function.entry.as_str();
    let wrong = |detail: String| Error::new(Code::ManifestInvalid, detail);
    let Some(file) = code.file(entry) else {
        return Err(wrong(format!("the entry {entry:?} is not among the files")).hint("Name the program in `entry` of mote.toml."));
    };
    if !file.executable {
        return Err(wrong(format!("{entry:?} is not executable")).hint(format!("Run `chmod +x {entry}` and deploy again.")));
    }
    match file.content.as_ref() {
        [0x7f, b'E', b'L', b'F', rest @ ..] => {
            let machine = rest.get(14..16).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
            if machine == Some(MACHINE) {
                return Ok(());
            }
            Err(Error::new(Code::Unsupported, format!("{entry:?} is a program for another machine than this ({})", std::env::consts::ARCH))
                .hint(format!("Build it for linux/{}.", std::env::consts::ARCH)))
        }
        start @ [b'#', b'!', ..] => match interpreter_of(start) {
            Some(interpreter) if interpreter.starts_with("/code") || interpreter.is_file() => Ok(()),
            Some(interpreter) => {
                Err(Error::new(Code::Unsupported, format!("{entry:?} asks for {}, which this host does not have", interpreter.display()))
                    .hint("Install it, or name another interpreter in the first line."))
            }
            None => Err(wrong(format!("the first line of {entry:?} names no interpreter"))),
        },
        _ => Err(wrong(format!("{entry:?} is neither an ELF program nor a script with a `#!` line"))),
    }
}

/// ELF's `e_machine` of this host.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    0
};
