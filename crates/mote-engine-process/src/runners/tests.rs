//! The runners as the engine meets them: started outside of a jail, frames on descriptor 3.
//!
//! Every case runs with each Python that the host has (3.9 and later) and with its Node.

#![allow(unsafe_code, reason = "the runner's socket is given to it between fork and exec")]

mod aws;
mod bucket;
mod calls;
mod quick_json;
mod speed;
mod streams;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mote_core::clock::SystemClock;
use mote_core::function::Family;
use serde_json::{Value, json};

use super::*;
use crate::runtime::Interpreters;
use crate::transpile;

/// A runner that is silent for so long is a failed test, not a slow one.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A frame: kind, call, payload.
type Frame = (u8, u32, Vec<u8>);

/// The function's files and the runner's, written out for one interpreter.
struct Bench {
    directory: tempfile::TempDir,
    interpreter: Arc<Interpreter>,
}

struct Runner {
    child: Child,
    socket: UnixStream,
    signature: Value,
}

/// What came back for one call.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    head: Value,
    body: Vec<u8>,
    failure: Option<Value>,
    /// stdout and stderr.
    logs: [String; 2],
}

fn pythons() -> &'static [Arc<Interpreter>] {
    static FOUND: OnceLock<Vec<Arc<Interpreter>>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let found = all(Family::Python).into_iter().filter(|one| one.is_between([3, 9], [4, 0])).collect::<Vec<_>>();
        let versions: Vec<&str> = found.iter().map(|one| one.version.as_str()).collect();
        println!("running with Python {}", versions.join(", "));
        assert!(!found.is_empty(), "this host has no Python 3.9 or later");
        found
    })
}

fn node() -> Arc<Interpreter> {
    let found = all(Family::Node).pop().expect("this host has no Node");
    println!("running with Node {}", found.version);
    found
}

fn all(family: Family) -> Vec<Arc<Interpreter>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Interpreters::new(Arc::new(SystemClock::new())).all(family))
}

impl Bench {
    fn new(interpreter: &Arc<Interpreter>, files: &[(&str, &str)]) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let bench = Bench { directory, interpreter: Arc::clone(interpreter) };
        for (path, text) in files {
            let path = bench.code().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        if interpreter.family == Family::Node {
            transpile::build(&bench.code()).unwrap();
        }
        write(&bench.directory.path().join("runner"), interpreter).unwrap();
        bench
    }

    fn code(&self) -> PathBuf {
        self.directory.path().join("code")
    }

    /// The first frame: READY or START_FAILED.
    fn open(&self, entry: &str, concurrency: u32) -> (Runner, Frame) {
        self.open_as("plain", entry, concurrency, &[])
    }

    fn open_as(&self, dialect: &str, entry: &str, concurrency: u32, env: &[(&str, &str)]) -> (Runner, Frame) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(SILENCE_MAX)).unwrap();
        let command = command(&self.directory.path().join("runner"), &self.interpreter);
        let mut child = Command::new(&command[0]);
        child.args(&command[1..]).current_dir(self.code()).stdin(Stdio::null()).envs(env.iter().copied());
        let descriptor = theirs.as_raw_fd();
        // SAFETY: dup2 allocates nothing and takes no lock; both descriptors are the child's own.
        unsafe {
            child.pre_exec(move || match libc::dup2(descriptor, 3) {
                3 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let child = child.spawn().unwrap();
        let mut runner = Runner { child, socket: ours, signature: Value::Null };
        let start = json!({"dialect": dialect, "entry": entry, "function": "my-fn", "version": 3, "namespace": "default",
            "concurrency": concurrency, "dev": false});
        runner.send(1, 0, start.to_string().as_bytes());
        let first = loop {
            match runner.receive() {
                (71, ..) => {}
                other => break other,
            }
        };
        (runner, first)
    }

    fn start(&self, entry: &str, concurrency: u32) -> Runner {
        let (mut runner, (kind, _, payload)) = self.open(entry, concurrency);
        assert_eq!(kind, 64, "{}", String::from_utf8_lossy(&payload));
        runner.signature = serde_json::from_slice(&payload).unwrap();
        runner
    }
}

impl Runner {
    fn send(&mut self, kind: u8, call: u32, payload: &[u8]) {
        self.socket.write_all(&frame(kind, call, payload)).unwrap();
    }

    fn receive(&mut self) -> Frame {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).expect("the runner said nothing more");
        let size = u32::from_le_bytes(head[..4].try_into().unwrap());
        let mut payload = vec![0; size as usize];
        self.socket.read_exact(&mut payload).unwrap();
        (head[4], u32::from_le_bytes(head[5..].try_into().unwrap()), payload)
    }

    fn call(&mut self, head: &Value, body: &[u8]) -> Outcome {
        self.send(2, 7, &payload(head, body));
        self.finish(7)
    }

    /// Frames of one call until its last; credit is given for what was read.
    fn finish(&mut self, call: u32) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let (kind, id, payload) = self.receive();
            assert_eq!(id, call, "a frame of another call");
            match kind {
                66 | 67 => {
                    let end = 4 + u32::from_le_bytes(payload[..4].try_into().unwrap()) as usize;
                    outcome.head = serde_json::from_slice(&payload[4..end]).unwrap();
                    outcome.body.extend(&payload[end..]);
                    if kind == 66 {
                        return outcome;
                    }
                }
                68 => {
                    outcome.body.extend(&payload);
                    self.send(8, id, &(payload.len() as u32).to_le_bytes());
                }
                69 => return outcome,
                70 => {
                    outcome.failure = Some(serde_json::from_slice(&payload).unwrap());
                    return outcome;
                }
                71 => outcome.logs[usize::from(payload[0]) - 1].push_str(std::str::from_utf8(&payload[1..]).unwrap()),
                72 => {}
                other => panic!("a frame of kind {other}"),
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// `application/json 9.0`, `418 text/plain; charset=utf-8 short`, `!argument-missing the text`.
    fn shown(&self) -> String {
        if let Some(failure) = &self.failure {
            let code = failure["code"].as_str().unwrap();
            let code = if code.is_empty() { failure["type"].as_str().unwrap() } else { code };
            return format!("!{code} {}", failure["message"].as_str().unwrap());
        }
        let status = self.head["status"].as_u64().unwrap();
        let status = if status == 200 { String::new() } else { format!("{status} ") };
        let headers = self.head["headers"].as_array().unwrap();
        let headers = if headers.is_empty() { String::new() } else { format!("{} ", self.head["headers"]) };
        format!("{status}{} {headers}{}", self.head["type"].as_str().unwrap(), String::from_utf8_lossy(&self.body))
    }
}

fn frame(kind: u8, call: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(call.to_le_bytes());
    frame.extend(payload);
    frame
}

fn payload(head: &Value, body: &[u8]) -> Vec<u8> {
    let head = head.to_string().into_bytes();
    let mut payload = (head.len() as u32).to_le_bytes().to_vec();
    payload.extend(head);
    payload.extend(body);
    payload
}

fn head(query: &str, content_type: &str) -> Value {
    json!({"id": "call-1", "deadline": 4_102_444_800_000_u64, "attempt": 1, "params": [], "query": query, "type": content_type})
}

#[test]
fn what_an_interpreter_reads_when_it_starts_is_told_from_the_rest() {
    for variable in [
        "PYTHONPATH",
        "NODE_OPTIONS",
        "LD_PRELOAD",
        "MALLOC_ARENA_MAX",
        "LC_ALL",
        "UV_THREADPOOL_SIZE",
        "SSL_CERT_FILE",
        "TZ",
        "LANG",
        STANDBY,
    ] {
        assert!(is_read_at_start(variable), "{variable}");
    }
    for variable in ["NODE_ENV", "PATH", "HOME", "OWN", "LANGUAGES", "python", "MY_PYTHON", ""] {
        assert!(!is_read_at_start(variable), "{variable}");
    }
}
