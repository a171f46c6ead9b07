//! Runs an installer: bounded in time and resources, its output told line by line.

#![allow(unsafe_code, reason = "limits are set in the child, between fork and exec")]

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::Progress;
use mote_core::{Code, Error, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::process::Command;

use crate::lines;

const TIME_MAX: Duration = Duration::from_secs(600);
/// Of one file that it writes.
const FILE_BYTES_MAX: u64 = 4 << 30;
const OPEN_FILES_MAX: u64 = 4096;
/// Of its output, for the error.
const TAIL_LINES: usize = 25;

/// What an installer may know of mote's environment: where to fetch from, and whom to trust.
const ENV: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
const ENV_PREFIXES: &[&str] = &["PIP_", "NPM_CONFIG_", "npm_config_"];

pub(super) struct Ended {
    pub(super) success: bool,
    /// Its last lines.
    pub(super) tail: String,
}

pub(super) async fn run(command: Vec<OsString>, directory: &Path, clock: &dyn Clock, progress: &Progress) -> Result<Ended> {
    let program = command.first().map(Path::new).unwrap_or(Path::new(""));
    let shown = program.display().to_string();
    let mut child = prepare(&command, program, directory)
        .spawn()
        .map_err(|error| Error::new(Code::Unsupported, format!("{shown} can't be started: {error}")))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let tail = Mutex::new(VecDeque::new());
    let note = |line: String| {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.clone());
        progress.tell(line);
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        let out = async {
            if let Some(pipe) = stdout {
                lines::read(pipe, note).await
            }
        };
        let err = async {
            if let Some(pipe) = stderr {
                lines::read(pipe, note).await
            }
        };
        tokio::join!(out, err);
    };
    // The output first: it ends when the last process of the group has closed it.
    let ended = async {
        output.await;
        child.wait().await
    };
    let status = tokio::select! {
        status = ended => status.map_err(|error| Error::internal("an installer was lost").caused_by(error))?,
        () = clock.sleep(TIME_MAX) => {
            let detail = format!("{shown} did not finish within {} seconds", TIME_MAX.as_secs());
            return Err(Error::new(Code::BuildFailed, detail).hint("Deploy with the dependencies in the bundle."));
        }
    };
    group.ended();
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended { success: status.success(), tail: Vec::from(tail).join("\n") })
}

fn prepare(command: &[OsString], program: &Path, directory: &Path) -> Command {
    let mut child = Command::new(program);
    child.args(command.iter().skip(1)).current_dir(directory).env_clear();
    let kept = |name: &str| ENV.contains(&name) || ENV_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    child.envs(env::vars_os().filter(|(name, _)| name.to_str().is_some_and(kept)));
    // npm is a script that looks for its own node.
    if let Some(beside) = program.parent() {
        let path = env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = env::join_paths([beside.to_owned()].into_iter().chain(env::split_paths(&path))) {
            child.env("PATH", path);
        }
    }
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec only these system calls are made; they allocate nothing, take
    // no lock and touch no memory of the parent.
    unsafe { child.pre_exec(limit) };
    child
}

fn limit() -> std::io::Result<()> {
    let at_most = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    rustix::thread::set_no_new_privs(true)?;
    at_most(Resource::Core, 0)?;
    at_most(Resource::Fsize, FILE_BYTES_MAX)?;
    // Where mote itself may open fewer, it stays at that.
    let _ = at_most(Resource::Nofile, OPEN_FILES_MAX);
    Ok(())
}

/// Ends every process of an installer that is given up, also when nobody waits any more.
struct Group(Option<Pid>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Until the leader is waited for, its number can't be anybody else's.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
