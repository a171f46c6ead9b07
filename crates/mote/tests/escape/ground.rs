//! The ground on which a pass is fought: one server, and hostile functions deployed to it.
//!
//! A [`Case`] is one attack; what it deploys is called, judged and taken away through it. What is
//! asked of every case alike (the neighbour, the traces) is in `cases.rs`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{self, Reply, Run, folder, http};
use crate::neighbour::Neighbour;
use crate::traces::Traces;
use crate::world::{Outside, Pass, Place};

/// What every attack is made with; it stands beside the attack in the deployed folder.
const KIT: &str = include_str!("attacks/kit.py");
/// For a server that has to end its functions first.
const STOP: Duration = Duration::from_secs(30);

pub(crate) struct Ground {
    pub(crate) pass: Pass,
    pub(crate) place: Place,
    pub(crate) outside: Outside,
    pub(crate) ready: Value,
    pub(crate) neighbour: Neighbour,
    pub(crate) traces: Traces,
    pub(crate) server: u32,
    data: PathBuf,
}

/// The server's process, apart from the ground, as only one may end it.
pub(crate) struct Server(Child);

impl Ground {
    pub(crate) fn prepare(pass: Pass, outside: Outside) -> io::Result<(Ground, Server)> {
        let place = Place::here()?;
        // Numbers that no process has in a jail, whose pids begin at 1: an attack on the server by
        // its number must not hit the attacker itself.
        std::fs::write("/proc/sys/kernel/ns_last_pid", "20000")?;
        let data = pass.directory(&place.root.join("data"))?;
        let mut serve = pass.command(&place.mote());
        serve.args(["serve", "--json", "--data"]).arg(&data).stderr(Stdio::from(File::create(place.root.join("server.log"))?));
        serve.env("MOTE_LOG", "info").env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", place.wheels());
        let (child, ready) = harness::spawn(serve);
        let mut ground = Ground {
            pass,
            place,
            outside,
            ready: serde_json::from_str(&ready)?,
            neighbour: Neighbour::default(),
            traces: Traces::default(),
            server: child.id(),
            data,
        };
        ground.neighbour = Neighbour::moves_in(&ground);
        ground.traces = Traces::of(ground.server);
        Ok((ground, Server(child)))
    }

    /// The command line, as mote's user.
    pub(crate) fn mote(&self, words: &[&str]) -> Command {
        let mut command = self.pass.command(&self.place.mote());
        command.args(words).env("MOTE_DATA", &self.data).env("NO_COLOR", "1");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        Run::of(&mut self.mote(words))
    }

    /// Deploys a folder of files.
    pub(crate) fn deploy(&self, files: &[(&str, &str)]) -> Run {
        let folder = folder(files);
        self.deploy_path(folder.path())
    }

    pub(crate) fn deploy_path(&self, path: &Path) -> Run {
        self.open_to_all(path);
        self.run(&["deploy", path.to_str().expect("a path in UTF-8"), "--json"])
    }

    /// Readable for mote's user, whoever it is.
    pub(crate) fn open_to_all(&self, path: &Path) {
        let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(path).status().expect("chmod runs");
        assert!(opened.success(), "{} could not be opened to all", path.display());
    }

    /// `127.0.0.1:8080` of a door.
    pub(crate) fn door(&self, door: &str) -> &str {
        let url = self.ready[door].as_str().unwrap_or_else(|| panic!("no door {door} in {}", self.ready));
        url.split_once("://").map_or(url, |(_, address)| address)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        http(self.door("public"), &head, body.as_bytes())
    }

    /// Whether the doctor finds this barrier on this host, as mote's user.
    pub(crate) fn has(&self, barrier: &str) -> bool {
        let doctor = self.run(&["doctor", "--json"]).json();
        let barriers = doctor["barriers"].as_array().expect("a list of barriers");
        let found = barriers.iter().find(|found| found["name"] == barrier).unwrap_or_else(|| panic!("no barrier is called {barrier:?}"));
        found["enforced"] == true
    }

    /// What the function and the platform said about it.
    pub(crate) fn log(&self, function: &str) -> String {
        self.run(&["logs", function, "--tail", "1000"]).ok().stdout
    }

    pub(crate) fn server_log(&self) -> String {
        std::fs::read(self.place.root.join("server.log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Server {
    /// Asks it to end, as an operator does, and waits for that.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() {
            if begun.elapsed() > STOP {
                return Err(io::Error::other(format!("mote had not ended {STOP:?} after SIGTERM")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// One attack.
pub(crate) struct Case<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) name: &'static str,
    /// What its processes are called, and nobody else's.
    pub(crate) mark: String,
    attackers: Mutex<Vec<String>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(ground: &'a Ground, name: &'static str, number: usize) -> Case<'a> {
        Case { ground, name, mark: format!("x-{number:03}"), attackers: Mutex::default() }
    }

    /// A case that panicked still leaves.
    fn deployed(&self) -> MutexGuard<'_, Vec<String>> {
        self.attackers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deploys the attack under the case's name; `manifest` has more keys, and variables below `[env]`.
    pub(crate) fn attacker(&self, manifest: &str, attack: &str) -> Attacker<'_> {
        self.another(self.name, manifest, attack)
    }

    pub(crate) fn another(&self, name: &str, manifest: &str, attack: &str) -> Attacker<'_> {
        let attacker = Attacker { case: self, name: name.to_owned() };
        let (keys, env) = manifest.split_once("[env]\n").unwrap_or((manifest, ""));
        let manifest =
            format!("name = \"{name}\"\nruntime = \"python\"\nentry = \"kit.py:attack\"\n{keys}\n[env]\nMARK = \"{}\"\n{env}", self.mark);
        self.ground.deploy(&[("mote.toml", &manifest), ("kit.py", KIT), ("case.py", attack)]).ok();
        self.deployed().push(name.to_owned());
        attacker
    }

    /// Other files under the case's name; it has no `rest`.
    pub(crate) fn program(&self, name: &str, files: &[(&str, &str)]) -> Run {
        let run = self.ground.deploy(files);
        if run.code == 0 {
            self.deployed().push(format!("-{name}"));
        }
        run
    }

    /// A fresh call of each is answered as if nothing had been; then they are taken away.
    pub(crate) fn settle(&self) {
        for name in self.deployed().iter().filter(|name| !name.starts_with('-')) {
            let reply = self.ground.post(&format!("/{name}"), &serde_json::json!({ "how": "rest" }));
            assert_eq!((reply.status, reply.text().as_str()), (200, "at rest"), "the next call of {name}");
        }
        self.leave();
    }

    pub(crate) fn leave(&self) {
        for name in std::mem::take(&mut *self.deployed()) {
            self.ground.run(&["remove", name.trim_start_matches('-')]);
        }
    }
}

/// A hostile function that is live.
pub(crate) struct Attacker<'a> {
    case: &'a Case<'a>,
    pub(crate) name: String,
}

impl Attacker<'_> {
    /// Calls `run` of the attack.
    pub(crate) fn attack(&self) -> Reply {
        self.call("run")
    }

    /// Calls another function of the attack.
    pub(crate) fn call(&self, how: &str) -> Reply {
        self.with(&serde_json::json!({ "how": how }))
    }

    /// With something to tell it: `how` and `what`.
    pub(crate) fn with(&self, body: &Value) -> Reply {
        self.case.ground.post(&format!("/{}", self.name), body)
    }

    /// What the attacker found out, by the name of each attempt.
    pub(crate) fn found(&self) -> Value {
        self.attack().is(200).json()
    }

    pub(crate) fn log(&self) -> String {
        self.case.ground.log(&self.name)
    }

    /// The log, once it says this.
    pub(crate) fn logs(&self, text: &str) {
        let mut log = String::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            log = self.log();
            if log.contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let end = log.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
        panic!("{text:?} is not in the log of {}, which ends:\n{}", self.name, &log[end..]);
    }

    /// The error that the caller and the log are to see: the limit that was hit, by its name.
    pub(crate) fn hits(&self, reply: &Reply, limit: &str) {
        assert_eq!(reply.header("x-mote-error"), Some("limit-exceeded"), "{reply:?}");
        assert!(reply.text().contains(limit), "{limit:?} is not named in {reply:?}");
    }
}

/// Every attempt was refused, whatever with; `done…` is what an attempt says that was not.
pub(crate) fn refused(found: &Value) {
    let attempts = found.as_object().unwrap_or_else(|| panic!("no attempts in {found}"));
    assert!(!attempts.is_empty(), "nothing was tried");
    let done: Vec<_> = attempts.iter().filter(|(_, outcome)| outcome.as_str().is_none_or(|text| text.starts_with("done"))).collect();
    assert!(done.is_empty(), "not refused: {done:#?}");
}
