//! `mote dev [DIR]`: a server for a folder's functions, which deploys what is saved.
//!
//! The server is the same as `mote serve`'s, with its data in `DIR/.mote/data`; a deploy is the
//! same as `mote deploy`'s. What is of its own here: [`units`] finds the functions, [`watch`]
//! tells what was saved.

mod units;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mote_core::clock::{Clock, SystemClock};
use mote_mqtt::Guests;
use mote_store::RecordBounds;
use reqwest::Method;
use serde_json::Value;

use crate::cli::deploy::{Wish, send};
use crate::cli::logs::worded;
use crate::cli::serve::{CONNECTIONS_EACH, Signals, block_on, listen_to_tracing};
use crate::client::{Client, lines};
use crate::config::{Addresses, AwsClients, check_data_dir};
use crate::failure::{Exit, Failure};
use crate::keyring::PassphraseFrom;
use crate::serve::{Busy, Config, Server};
use crate::tls::TlsFiles;
use crate::{output, pack};

use units::Unit;
use watch::Watch;

const EXAMPLES: &str = "\
Examples:
  mote dev
  mote dev ./functions --public 127.0.0.1:3000

DIR is one function, or holds one in each file or sub-folder. What is saved is live at once, and
no call is dropped; errors show their trace to the caller. Where a default port is taken, a free
one is used.";

/// Ctrl-C should not wait for a slow call of one's own.
const GRACE: Duration = Duration::from_secs(2);
/// A file that is written anew may be away for a moment; its function is not taken down for that.
const AWAY: Duration = Duration::from_millis(300);
const NAMESPACE: &str = "default";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dev {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    passphrase: PassphraseFrom,
}

impl Dev {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let dir = self.dir.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
            Failure::usage(format!("{} is not a folder", self.dir.display()))
                .wanted("wanted: a folder that is a function, or holds some")
                .hint("`mote new NAME` makes one.")
        })?;
        listen_to_tracing("warn");
        block_on(async {
            let mut signals = Signals::new()?;
            let data_dir = data_dir(&dir)?;
            check_data_dir(&data_dir, "serve a copy of the folder")?;
            let server = Server::start(Config {
                data_dir,
                addresses: self.addresses,
                busy: Busy::TakeAnother,
                passphrase: self.passphrase,
                tls: TlsFiles::default(),
                guests: Guests::default(),
                bridge: None,
                connections_each: CONNECTIONS_EACH,
                records: RecordBounds::default(),
                retry_scale: 1.0,
                aws: AwsClients::default(),
            })
            .await?;
            let client = Client::of(server.doors(), server.token())?;
            greet(&dir, &server);
            tokio::select! {
                ended = develop(&dir, &client) => ended?,
                () = signals.next() => {}
            }
            tokio::select! { () = server.stop(GRACE) => {}, () = signals.next() => {} }
            Ok(Exit::Done)
        })
    }
}

/// To standard error: the results are what is live, and what it says.
fn greet(dir: &Path, server: &Server) {
    let doors = server.doors();
    eprintln!("{}", output::bold(&format!("mote serves {}", dir.display())));
    eprintln!("  public   {}\n  control  {}\n  aws      {}\n  mqtt     {}", doors.public, doors.control, doors.aws, doors.mqtt);
    eprintln!("  data     {}\n  Ctrl-C ends it; what is saved till then is live at once", server.data_dir().display());
}

/// `DIR/.mote/data`, kept out of version control.
fn data_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let hidden = dir.join(".mote");
    let make = || {
        std::fs::create_dir_all(&hidden)?;
        std::fs::write(hidden.join(".gitignore"), "*\n")
    };
    make().map_err(|error| Failure::refused(format!("{} can't be made: {error}", hidden.display())))?;
    Ok(hidden.join("data"))
}

/// Deploys, watches and shows logs until it is dropped.
async fn develop(dir: &Path, client: &Client) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Before the first deploy, so that nothing is missed that is saved meanwhile.
    let mut watch = Watch::start(dir, clock.clone())?;
    let mut folder = Folder { dir, client, clock, units: Vec::new(), judged: BTreeMap::new() };
    folder.refresh(None).await;
    if folder.units.is_empty() {
        eprintln!("no function in {} yet; what is saved there will be served", dir.display());
    }
    let watching = async {
        while let Some(changed) = watch.next().await {
            folder.refresh(Some(&changed)).await;
        }
        Ok(())
    };
    tokio::select! { ended = watching => ended, ended = follow(client) => ended }
}

/// The folder, and what of it is live.
struct Folder<'a> {
    dir: &'a Path,
    client: &'a Client,
    clock: Arc<dyn Clock>,
    units: Vec<Unit>,
    /// Which paths are functions, until they change: a folder of data is not read at each save.
    judged: BTreeMap<PathBuf, bool>,
}

impl Folder<'_> {
    /// Deploys what is new or changed, and removes what is gone.
    async fn refresh(&mut self, changed: Option<&BTreeSet<PathBuf>>) {
        self.judged.retain(|path, _| changed.is_some_and(|changed| !changed.iter().any(|changed| changed.starts_with(path))));
        let mut found = self.find();
        if self.units.iter().any(|unit| !found.contains(&unit.path)) {
            self.clock.sleep(AWAY).await;
            found = self.find();
        }
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.units).into_iter().partition(|unit| found.contains(&unit.path));
        self.units = kept;
        for name in gone.iter().flat_map(|unit| &unit.functions) {
            // Of `a.py` and `a.js`, the one that is left is `a` now.
            match self.units.iter().position(|unit| unit.functions.contains(name)) {
                Some(heir) => {
                    self.units.iter_mut().skip(heir).take(1).for_each(|unit| unit.archive.clear());
                    self.deploy(heir).await;
                }
                None => self.remove(name).await,
            }
        }
        for path in found {
            let known = self.units.iter().position(|unit| unit.path == path);
            let touched = changed.is_none_or(|changed| changed.iter().any(|changed| changed.starts_with(&path)));
            match known {
                Some(_) if !touched => {}
                Some(index) => self.deploy(index).await,
                None => {
                    self.units.push(Unit::new(path));
                    self.deploy(self.units.len() - 1).await;
                }
            }
        }
    }

    fn find(&mut self) -> Vec<PathBuf> {
        let judged = &mut self.judged;
        units::find(self.dir, &mut |path| match judged.get(path) {
            Some(known) => *known,
            None => {
                let is_function = units::is_function(path);
                judged.insert(path.to_owned(), is_function);
                is_function
            }
        })
    }

    async fn deploy(&mut self, index: usize) {
        let begun = self.clock.monotonic();
        let Some(unit) = self.units.get_mut(index) else { return };
        let packed = match pack::pack(&unit.path) {
            Ok(packed) if packed.archive == unit.archive => return,
            Ok(packed) => packed,
            Err(failure) => return failure.print(),
        };
        unit.archive.clone_from(&packed.archive);
        let wish = Wish { namespace: NAMESPACE, name: None, dev: true };
        let mut said = Vec::new();
        let sent = send(self.client, packed, &wish, |line| {
            eprintln!("{}", output::dim(line));
            said.push(line.to_owned());
        });
        match sent.await {
            Ok(deployed) => {
                let took = output::duration(self.clock.monotonic() - begun);
                let live: Vec<String> = deployed.iter().filter_map(|one| one.get("name")?.as_str()).map(str::to_owned).collect();
                let before = std::mem::replace(&mut unit.functions, live.clone());
                deployed.iter().for_each(|one| tell(one, &took));
                for name in before.iter().filter(|name| !live.contains(name)) {
                    self.remove(name).await;
                }
            }
            Err(failure) => {
                // Saved again, it is tried again: an installer may have had no network.
                unit.archive.clear();
                let before = if unit.functions.is_empty() { "" } else { "; the version before stays live" };
                eprintln!("{} is not deployed{before}", unit.path.display());
                failure.without(&said).print();
            }
        }
    }

    async fn remove(&self, name: &str) {
        let request = self.client.request(Method::DELETE, &["functions", name]).query(&[("namespace", NAMESPACE)]);
        match self.client.send(request).await {
            Ok(_) => output::line_out(&format!("{name} is removed")),
            Err(failure) => failure.print(),
        }
    }
}

/// `formula  version 3  http://127.0.0.1:8080/formula  (87 ms)`.
fn tell(deployed: &Value, took: &str) {
    let text = |key: &str| deployed.get(key).and_then(Value::as_str).unwrap_or_default();
    let version = deployed.get("version").and_then(Value::as_u64).unwrap_or_default();
    let name = output::tint(&format!("{:<12}", text("name")), tint_of(text("name")));
    output::line_out(&format!("{name} version {version}  {}  {}", text("url"), output::dim(&format!("({took})"))));
}

/// Shows what all functions say, as long as the server is there.
async fn follow(client: &Client) -> Result<(), Failure> {
    let query = [("namespace", NAMESPACE), ("follow", "1"), ("tail", "0")];
    let reply = client.send(client.request(Method::GET, &["logs"]).query(&query)).await?;
    lines(reply, |line| {
        let name = line.get("function").and_then(Value::as_str).unwrap_or_default();
        output::line_out(&worded(&line, false, Some(tint_of(name))));
        Ok(true)
    })
    .await
}

/// The same colour for the same name, whatever else runs.
fn tint_of(name: &str) -> usize {
    name.bytes().fold(0, |sum, byte| sum * 31 % 6007 + usize::from(byte))
}
