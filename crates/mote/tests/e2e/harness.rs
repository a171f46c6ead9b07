//! A server of its own for each test, and the three ways to speak to it: the command line, the
//! public door over a plain socket, and the control door.
//!
//! Nothing here waits for a time: a server is ready when it says so, and [`until`] gives up only
//! when what it waits for can no longer be expected.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A copy of the binary under test, for a user who can't read the build's directory.
pub(crate) const COPY: &str = "MOTE_TEST_BINARY";

/// The binary under test, with nothing of the caller's environment that it reads.
pub(crate) fn mote() -> Command {
    let mut command = Command::new(std::env::var_os(COPY).unwrap_or_else(|| env!("CARGO_BIN_EXE_mote").into()));
    for name in ["MOTE_URL", "MOTE_TOKEN", "MOTE_NAMESPACE", "MOTE_DATA", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command.env("MOTE_LOG", "warn");
    command
}

fn serve(data: &Path) -> Command {
    let mut serve = mote();
    serve.arg("serve").arg("--data").arg(data).arg("--json");
    for door in ["--public", "--control", "--aws", "--mqtt"] {
        serve.args([door, "127.0.0.1:0"]);
    }
    serve
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    data: Data,
    /// The line that it printed when it was ready.
    pub(crate) ready: Value,
}

enum Data {
    Own(TempDir),
    Kept(PathBuf),
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::run(Data::Own(tempfile::tempdir().expect("a folder for the data")))
    }

    /// With more to `mote serve`.
    pub(crate) fn start_with(arguments: &[&str]) -> Server {
        let data = Data::Own(tempfile::tempdir().expect("a folder for the data"));
        let mut serve = serve(data.path());
        serve.args(arguments);
        Server::spawned(serve, data)
    }

    /// On a data directory that outlives the server.
    pub(crate) fn start_on(data: &Path) -> Server {
        Server::run(Data::Kept(data.to_owned()))
    }

    fn run(data: Data) -> Server {
        Server::spawned(serve(data.path()), data)
    }

    /// The leader of a process group of its own.
    pub(crate) fn start_as_leader() -> Server {
        let data = Data::Own(tempfile::tempdir().expect("a folder for the data"));
        let mut serve = serve(data.path());
        std::os::unix::process::CommandExt::process_group(&mut serve, 0);
        Server::spawned(serve, data)
    }

    /// By a command of the test's own, on a data directory that outlives the server.
    pub(crate) fn of(serve: Command, data: &Path) -> Server {
        Server::spawned(serve, Data::Kept(data.to_owned()))
    }

    fn spawned(serve: Command, data: Data) -> Server {
        let (child, ready) = spawn(serve);
        Server { child, data, ready: serde_json::from_str(&ready).expect("the ready line is JSON") }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// `127.0.0.1:12345` of a door.
    pub(crate) fn address(&self, door: &str) -> &str {
        let url = self.ready[door].as_str().unwrap_or_else(|| panic!("no door {door} in {}", self.ready));
        url.split_once("://").expect("a door is a URL").1
    }

    /// The command line, pointed at this server.
    pub(crate) fn mote(&self, arguments: &[&str]) -> Run {
        Run::of(mote().args(arguments).env("MOTE_DATA", self.data()))
    }

    /// Deploys the text of a file; its name is the function's.
    pub(crate) fn deploy(&self, file: &str, text: &str) -> Value {
        let folder = folder(&[(file, text)]);
        self.deploy_path(&folder.path().join(file))
    }

    pub(crate) fn deploy_path(&self, path: &Path) -> Value {
        self.mote(&["deploy", path.to_str().expect("a path in UTF-8"), "--json"]).ok().json()
    }

    /// One request to the public door.
    pub(crate) fn get(&self, path: &str) -> Reply {
        http(self.address("public"), &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"), b"")
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        http(self.address("public"), &head, body)
    }

    /// One request to the control door, with the token.
    pub(crate) fn control(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let token = self.ready["token"].as_str().expect("a token");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        http(self.address("control"), &head, body)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success(), "the server was gone before {name}");
    }

    /// To every process of the server's group, as a terminal's Ctrl-C does. It has to lead one.
    pub(crate) fn signal_group(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).args(["--", &format!("-{}", self.child.id())]).status();
        assert!(sent.expect("kill runs").success(), "the server was gone before {name}");
    }

    /// Waits for the server's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server ends", || {
            status = self.child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Data {
    fn path(&self) -> &Path {
        match self {
            Data::Own(dir) => dir.path(),
            Data::Kept(dir) => dir,
        }
    }
}

/// Starts a command, and returns with its first line on standard output.
pub(crate) fn spawn(mut command: Command) -> (Child, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("mote starts");
    let mut out = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("its output can be read");
    if line.is_empty() {
        panic!("mote ended before it was ready: {:?}", child.wait());
    }
    // Read on, so that a full pipe never stops it.
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    (child, line)
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Run {
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("mote starts");
        let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
        Run { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    pub(crate) fn exits(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    pub(crate) fn ok(self) -> Run {
        self.exits(0)
    }

    /// Its only line on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// Each line on standard output.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
    }
}

/// What came back over HTTP.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The code of an error of ours.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no error in {self:#?}")).to_owned()
    }

    pub(crate) fn is(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

/// Sends these very bytes, and reads to the end of the connection: a test of bad input must be
/// able to send what no client library would.
pub(crate) fn http(address: &str, head: &str, body: &[u8]) -> Reply {
    let mut stream = connect(address);
    // A server that refuses early closes before it has read all; its answer is what counts.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    answer(stream)
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Reads one response, up to the connection's end.
pub(crate) fn answer(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert!(!bytes.is_empty(), "no answer: {error}");
    }
    let end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())).collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunked(&bytes[end + 4..]) } else { bytes[end + 4..].to_vec() };
    Reply { status: status.unwrap_or_else(|| panic!("no status in {head}")), headers, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && rest.len() >= end + 2 + size) else { break };
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    body
}

/// A folder of files; one whose text begins with `#!` can be run.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        save(&dir.path().join(name), text);
    }
    dir
}

/// Writes a file as a careful editor does: whole, under another name, then renamed.
pub(crate) fn save(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
    let draft = path.with_file_name(format!(".#{}", path.file_name().and_then(OsStr::to_str).expect("a name")));
    std::fs::write(&draft, text).expect("a file can be written");
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(mode)).expect("a mode can be set");
    std::fs::rename(&draft, path).expect("a file can be renamed");
}

/// Asks again until it holds; what is asked is outside this process, so there is nothing to await.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
