//! `mote new NAME`: a folder that deploys as it is.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mote_core::function::Name;
use serde_json::json;

use crate::cli::Output;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote new hello
  mote new hello --runtime typescript --dir ~/functions";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct New {
    /// The function's name, and the folder's
    name: String,
    #[arg(long, value_enum, default_value_t = Template::Python)]
    runtime: Template,
    /// Where the folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    Python,
    Node,
    Typescript,
    Executable,
}

/// A file of a template; `NAME` in it becomes the function's name.
struct File {
    path: &'static str,
    text: &'static str,
    mode: u32,
}

macro_rules! file {
    ($folder:literal, $path:literal, $mode:literal) => {
        File { path: $path, text: include_str!(concat!("../../templates/", $folder, "/", $path)), mode: $mode }
    };
}

impl Template {
    fn files(self) -> &'static [File] {
        match self {
            Template::Python => {
                &[file!("python", "mote.toml", 0o644), file!("python", "main.py", 0o644), file!("python", "README.md", 0o644)]
            }
            Template::Node => &[file!("node", "mote.toml", 0o644), file!("node", "main.js", 0o644), file!("node", "README.md", 0o644)],
            Template::Typescript => {
                &[file!("typescript", "mote.toml", 0o644), file!("typescript", "main.ts", 0o644), file!("typescript", "README.md", 0o644)]
            }
            Template::Executable => {
                &[file!("executable", "mote.toml", 0o644), file!("executable", "main.sh", 0o755), file!("executable", "README.md", 0o644)]
            }
        }
    }
}

impl New {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let name = Name::new(&self.name)?;
        let folder = self.dir.join(name.as_str());
        make(&folder, name.as_str(), self.runtime).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::refused(format!("{} is there already", folder.display()))
                .wanted("wanted: a name that is free")
                .hint("Choose another name, or another place with `--dir`."),
            _ => Failure::refused(format!("{} can't be made: {error}", folder.display())),
        })?;
        let files: Vec<_> = self.runtime.files().iter().map(|file| folder.join(file.path)).collect();
        if self.output.json {
            output::json(&json!({ "name": name, "folder": folder, "files": files }));
        } else {
            files.iter().for_each(|file| output::line_out(&format!("made {}", file.display())));
            output::line_out(&format!("{} mote deploy {}", output::bold("next:"), folder.display()));
        }
        Ok(Exit::Done)
    }
}

fn make(folder: &Path, name: &str, template: Template) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(folder)?;
    for file in template.files() {
        let path = folder.join(file.path);
        fs::write(&path, file.text.replace("NAME", name))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mote_core::bundle::Bundle;
    use mote_core::dialect::Dialect;

    use super::*;

    #[test]
    fn every_template_deploys_as_it_is() {
        for &template in Template::value_variants() {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("greeting");
            make(&folder, "greeting", template).unwrap();
            let bundle = Bundle::unpack(&crate::pack::pack(&folder).unwrap().archive).unwrap();
            let plain = mote_dialects::plain::Plain::public();
            let manifest = plain.manifest(&bundle, &Default::default()).unwrap().or_else(|| plain.obvious(&bundle)).unwrap();
            let names: Vec<_> = manifest.functions.iter().map(|deployment| deployment.name.as_ref().unwrap().as_str()).collect();
            assert_eq!(names, ["greeting"], "{template:?}");
            assert!(make(&folder, "greeting", template).is_err(), "an existing folder was overwritten");
        }
    }
}
