//! What to do about code that did not load, where its own error does not say: a package that nobody
//! installed, and JavaScript that does not parse, whose place Node keeps to itself.

use std::path::PathBuf;

use mote_core::Error;
use mote_core::error::Report;
use mote_core::function::Family;

use crate::transpile;

pub(super) async fn advised(error: Error, report: &Report, family: Family, artifact: PathBuf) -> Error {
    let is_missing = ["Cannot find package", "Cannot find module"].iter().any(|text| report.message.starts_with(text));
    match family {
        Family::Python if report.kind == "ModuleNotFoundError" => {
            error.hint("List the package that holds it in requirements.txt beside the code; a deploy installs what stands there.")
        }
        Family::Node if is_missing => {
            error.hint("List the package in `dependencies` of package.json beside the code; a deploy installs what stands there.")
        }
        Family::Node if report.kind == "SyntaxError" => {
            let found = tokio::task::spawn_blocking(move || transpile::first_error(&artifact)).await;
            match found.ok().flatten() {
                Some(place) => Error::new(error.code(), format!("{}\n{place}", error.detail())),
                None => error,
            }
        }
        Family::Python | Family::Node | Family::Java | Family::Executable | Family::Flow => error,
    }
}
