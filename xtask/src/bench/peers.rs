//! The servers that mote is compared with, each started as its own documentation says.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::pin::{SERVER, on_core};
use crate::Result;
use crate::places::{root, target};
use crate::server::get;
use crate::shell::until;
use crate::venv::{Venv, node_modules};

const QUERY: &str = "/formula?a=1&b=2&c=3";
const START: Duration = Duration::from_secs(30);

/// How to start a peer on a port.
pub(super) struct Peer {
    pub(super) name: &'static str,
    command: Box<dyn Fn(u16) -> Command>,
    pub(super) answer: &'static str,
}

/// A running peer; ends when dropped.
pub(super) struct Running {
    child: Child,
    pub(super) url: String,
    /// From the start of the process to its first right answer.
    pub(super) first_answer: Duration,
}

pub(super) const AXUM: &str = "axum hello";
pub(super) const NODE: &str = "node:http";
pub(super) const FRAMEWORK_NODE: &str = "functions-framework (Node)";
pub(super) const FRAMEWORK_PYTHON: &str = "functions-framework (Python)";

/// All peers, with what they need installed.
pub(super) fn all() -> Result<Vec<Peer>> {
    let peers = root().join("xtask/peers");
    let modules = node_modules("peers", &["@google-cloud/functions-framework@5.0.5"])?;
    std::fs::copy(peers.join("framework.js"), modules.join("index.js"))?;
    let venv = Venv::with("peers", "functions-framework==3.10.2\n")?;
    let (hello, node_http, framework_py) = (target().join("release/mote-load"), peers.join("node-http.js"), peers.join("framework.py"));
    Ok(vec![
        Peer {
            name: AXUM,
            command: Box::new(move |port| {
                let mut command = Command::new(&hello);
                command.args(["serve", "--port", &port.to_string()]);
                command
            }),
            answer: "9",
        },
        Peer {
            name: NODE,
            command: Box::new(move |port| {
                let mut command = Command::new("node");
                command.arg(&node_http).env("PORT", port.to_string());
                command
            }),
            answer: "9",
        },
        Peer { name: FRAMEWORK_NODE, command: Box::new(move |port| framework_node(&modules, port)), answer: "9" },
        Peer {
            name: FRAMEWORK_PYTHON,
            command: Box::new(move |port| {
                let mut command = Command::new(venv.bin().join("functions-framework"));
                command.args(["--target=formula", "--host=127.0.0.1"]).arg(format!("--port={port}"));
                command.arg(format!("--source={}", framework_py.display()));
                command
            }),
            answer: "9.0\n",
        },
    ])
}

fn framework_node(modules: &Path, port: u16) -> Command {
    let mut command = Command::new("node");
    command.current_dir(modules).arg("node_modules/@google-cloud/functions-framework/build/src/main.js");
    command.arg("--target=formula").arg(format!("--port={port}"));
    command
}

impl Peer {
    pub(super) fn start(&self) -> Result<Running> {
        // Free a moment ago; nothing else on a machine that is fit to measure on takes it meanwhile.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}{QUERY}");
        let begun = Instant::now();
        let mut command = (self.command)(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = on_core(SERVER, || command.spawn().map_err(|e| format!("{} can't be started: {e}", self.name).into()))?;
        let mut running = Running { child, url, first_answer: Duration::ZERO };
        until(START, &format!("the first answer of {}", self.name), || {
            // Refused until it listens.
            Ok(get(&running.url).ok().filter(|answer| answer.body == self.answer))
        })?;
        running.first_answer = begun.elapsed();
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM first: a server with workers ends them only then.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = crate::shell::wait(&mut self.child, Duration::from_secs(5));
    }
}
