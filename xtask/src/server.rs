//! A running mote: started as a user starts it, asked by HTTP and by its own CLI.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http;

use crate::Result;
use crate::shell::{capture, capture_with, tail, until, wait};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(60);
/// A deploy may install dependencies.
const COMMAND: Duration = Duration::from_secs(300);

pub(crate) struct Server {
    binary: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) doors: Doors,
    /// From the start of the process to its ready line.
    pub(crate) start_up: Duration,
    /// `None` once it is to live on by itself.
    child: Option<Child>,
    leash: Leash,
    pub(crate) pid: u32,
}

/// The ready line of `mote serve --json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Doors {
    pub(crate) public: String,
    pub(crate) control: String,
    pub(crate) aws: String,
    pub(crate) mqtt: String,
    pub(crate) token: String,
}

/// What a CLI command needs of `credentials.json`.
#[derive(Deserialize)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

impl Server {
    /// Starts it on free ports of the loopback and waits for its ready line.
    pub(crate) fn start(binary: &Path, data: &Path) -> Result<Server> {
        Server::start_with(binary, data, &[])
    }

    /// With more to `mote serve`.
    pub(crate) fn start_with(binary: &Path, data: &Path, arguments: &[&str]) -> Result<Server> {
        std::fs::create_dir_all(data)?;
        let (ready, log) = (beside(data, "ready"), beside(data, "log"));
        let mut command = Command::new(binary);
        command
            .args(["serve", "--json"])
            .args(["--public", "--control", "--aws", "--mqtt"].map(|door| [door, "127.0.0.1:0"]).concat())
            .arg("--data")
            .arg(data)
            .args(arguments);
        // Files, not pipes: a server that is kept outlives this program. Its own group, so that
        // Ctrl-C in this terminal does not end it either.
        command.stdin(Stdio::null()).stdout(private(&ready)?).stderr(File::create(&log)?).process_group(0);
        let begun = Instant::now();
        let child = command.spawn().map_err(|e| format!("{} can't be started: {e}", binary.display()))?;
        let (pid, mut server_child) = (child.id(), child);
        let mut leash = Leash::new(pid)?;
        let line = until(START, "the server's ready line", || {
            if let Some(status) = server_child.try_wait()? {
                return Err(format!("the server ended with {status} before it was ready").into());
            }
            let text = std::fs::read_to_string(&ready)?;
            Ok(text.split_once('\n').map(|(line, _)| line.to_owned()))
        });
        let start_up = begun.elapsed();
        let doors = line.and_then(|line| serde_json::from_str(&line).map_err(|e| format!("the ready line {line:?}: {e}").into()));
        match doors {
            Ok(doors) => {
                Ok(Server { binary: binary.to_owned(), data: data.to_owned(), doors, start_up, child: Some(server_child), leash, pid })
            }
            Err(error) => {
                // It may have ended by itself already.
                let _ = server_child.kill();
                server_child.wait()?;
                leash.let_go();
                Err(format!("{error}\n{}", tail(&std::fs::read_to_string(&log).unwrap_or_default(), 30)).into())
            }
        }
    }

    /// A command of the CLI against this server; gives back its stdout.
    pub(crate) fn cli(&self, words: &[&str]) -> Result<String> {
        capture(&mut self.command(words), COMMAND)
    }

    /// The same in a folder, with something to read.
    pub(crate) fn cli_in(&self, folder: &Path, words: &[&str], stdin: &str) -> Result<String> {
        capture_with(self.command(words).current_dir(folder), stdin, COMMAND)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).env("MOTE_URL", &self.doors.control).env("MOTE_TOKEN", &self.doors.token);
        command
    }

    pub(crate) fn deploy(&self, path: &Path) -> Result<()> {
        self.cli(&["deploy", &path.to_string_lossy(), "--json"]).map(drop)
    }

    /// A request with the admin token to the control door.
    pub(crate) fn control(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.doors.token);
        ask(method, &format!("{}{path}", self.doors.control), &[("authorization", &bearer)], body)
    }

    pub(crate) fn keys(&self) -> Result<Keys> {
        Ok(serde_json::from_slice(&std::fs::read(self.data.join("credentials.json"))?)?)
    }

    /// The environment in which AWS clients find this server and its credentials.
    pub(crate) fn aws_env(&self) -> Result<[(&'static str, String); 5]> {
        let keys = self.keys()?;
        Ok([
            ("AWS_ENDPOINT_URL", self.doors.aws.clone()),
            ("AWS_ACCESS_KEY_ID", keys.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ])
    }

    pub(crate) fn log_tail(&self) -> String {
        tail(&std::fs::read_to_string(beside(&self.data, "log")).unwrap_or_default(), 30)
    }

    /// Lets the functions finish, as SIGTERM does, and waits for the end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)?;
        let status = wait(&mut child, STOP)?;
        self.leash.let_go();
        if status.success() { Ok(()) } else { Err(format!("after SIGTERM the server ended with {status}\n{}", self.log_tail()).into()) }
    }

    /// Lets it live on after this program; how to stop it is the user's to know.
    pub(crate) fn keep(mut self) {
        self.child = None;
        self.leash.let_go();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // An error means that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
            self.leash.let_go();
        }
    }
}

/// Ends the server should this program be killed, which then can't: a shell that waits for the end
/// of its input.
struct Leash(Child);

impl Leash {
    fn new(pid: u32) -> Result<Leash> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _ || kill -TERM \"$0\"", &pid.to_string()]);
        // Its own group, as what is typed in this terminal is for this program.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Leash(shell.spawn().map_err(|e| format!("sh can't be started: {e}"))?))
    }

    /// The server has ended, or is to live on.
    fn let_go(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            // An error means that it was killed.
            let _ = input.write_all(b"\n");
            let _ = self.0.wait();
        }
    }
}

/// A new file for its owner alone: the ready line holds the token.
fn private(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// A file beside the data directory, which belongs to the server alone.
fn beside(data: &Path, ending: &str) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// An answer over HTTP, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, if the status is a success.
    pub(crate) fn ok(self) -> Result<String> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(format!("status {}: {}", self.status, self.body).into()) }
    }
}

pub(crate) fn get(url: &str) -> Result<Answer> {
    ask("GET", url, &[], "")
}

pub(crate) fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Result<Answer> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build();
    let body: Vec<u8> = body.into();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = ureq::Agent::new_with_config(config);
    let sent = if body.is_empty() { agent.run(request.body(())?) } else { agent.run(request.body(body)?) };
    let mut answer = sent.map_err(|e| format!("{method} {url}: {e}"))?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut answer.body_mut().as_reader(), &mut bytes)?;
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_with_the_token_is_for_its_owner_alone() {
        let path = std::env::temp_dir().join(format!("mote-ready-{}", std::process::id()));
        std::fs::write(&path, "old, and readable by all").unwrap();
        let made = private(&path).unwrap().metadata().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((made.permissions().mode() & 0o777, made.len()), (0o600, 0));
    }
}
