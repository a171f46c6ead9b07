//! The files of a function or a layer: a folder of the bundle, a zip in it, or the text itself.

use std::sync::Arc;

use mote_core::action::LAYERS;
use mote_core::bundle::Bundle;

use super::Ground;
use super::finding::{Finding, Outcome};
use super::yaml::Place;

/// What `sam build` and its kind leave, which is no code of a function that has the whole folder.
const LEFT_OUT: [&str; 4] = [".aws-sam/", ".serverless/", ".chalice/deployments/", ".chalice/deployed/"];

/// Of one manifest, since all of it is held until all is known to be good.
const FOLDERS_MAX: usize = 100;
const UNPACKED_BYTES_MAX: u64 = 512 << 20;

/// By its path, as the manifest in that folder names it.
pub(super) fn at(ground: &Ground<'_>, at: Place, path: &str) -> Outcome<Bundle> {
    let taken = &ground.taken;
    taken.times.set(taken.times.get() + 1);
    if taken.times.get() > FOLDERS_MAX {
        return Err(Finding::new(at, format!("the manifest has more than {FOLDERS_MAX} functions and layers; make two folders of it")));
    }
    let wrong = |error: mote_core::Error| Finding::new(at, error.detail().to_owned());
    if path.contains("://") {
        return Err(Finding::new(at, format!("{path:.100} is elsewhere: mote takes code that lies in the folder")));
    }
    let whole = if ground.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", ground.folder) };
    let plain = whole.trim_start_matches("./").trim_end_matches('/');
    if let Some(file) = ground.bundle.file(plain) {
        let files = Bundle::unpack(&file.content)
            .map_err(|_| Finding::new(at, format!("{path:.100} is a file, and neither a folder nor a zip")))?;
        let unpacked = files.files().map(|(_, file)| file.content.len() as u64).sum::<u64>();
        taken.unpacked.set(taken.unpacked.get() + unpacked);
        if taken.unpacked.get() > UNPACKED_BYTES_MAX {
            let mib = UNPACKED_BYTES_MAX >> 20;
            return Err(Finding::new(at, format!("with {path:.100} the zips of the manifest have more than {mib} MiB unpacked")));
        }
        return Ok(files);
    }
    let folder = ground.bundle.below(&whole).map_err(wrong)?;
    let mut files = Bundle::default();
    for (inside, file) in folder.files().filter(|(inside, _)| !LEFT_OUT.iter().any(|left| inside.starts_with(left))) {
        files.insert(inside, file.content.clone(), file.executable).map_err(wrong)?;
    }
    if files.files().len() == 0 {
        return Err(Finding::new(at, format!("{path:.100} is no folder with files in it")));
    }
    Ok(files)
}

/// A text in the manifest, as the file that its handler names.
pub(super) fn inline(at: Place, text: &str, runtime: &str) -> Outcome<Bundle> {
    let name = if runtime.starts_with("python") { "index.py" } else { "index.js" };
    let mut files = Bundle::default();
    files.insert(name, text.to_owned(), false).map_err(|error| Finding::new(at, error.detail().to_owned()))?;
    Ok(files)
}

/// With its layers around it, of which a later one's file goes before.
pub(super) fn layered(at: Place, mut files: Bundle, layers: &[Arc<Bundle>]) -> Outcome<Bundle> {
    for layer in layers {
        files.overlay(LAYERS, (**layer).clone()).map_err(|error| Finding::new(at, error.detail().to_owned()))?;
    }
    Ok(files)
}
