//! Who else answers Lambda's `Invoke` on one's own machine: each installed and started as its own documentation says.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::super::pin::{SERVER, on_core};
use super::{Language, SIGNED, invocations};
use crate::Result;
use crate::places::{fresh, own};
use crate::server::ask;
use crate::shell::{capture, until, wait};
use crate::venv::{Venv, node_modules};

const START: Duration = Duration::from_secs(60);
const BUILD: Duration = Duration::from_secs(600);
const EMULATOR: &str = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d";

pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) languages: &'static [Language],
    command: Start,
    functions: Functions,
}

/// By the port of Lambda's API, and the folder where the handler lies.
type Start = Box<dyn Fn(u16, &Path) -> Result<Command>>;

/// How a peer comes to its functions.
#[derive(Clone, Copy)]
enum Functions {
    /// By the API, as many as are wanted.
    Created,
    /// They were there at its start, by this name.
    Named(&'static str),
}

/// A running peer; ends when dropped.
pub(super) struct Running {
    child: Child,
    door: String,
    folder: PathBuf,
    functions: Functions,
}

/// Those that can be had here; `skipped` is told of the others.
pub(super) fn all(skipped: &mut dyn FnMut(&str)) -> Vec<Peer> {
    let peers = [("MiniStack", ministack()), ("serverless-offline", serverless_offline()), ("the Runtime Interface Emulator", emulator())];
    let had = |(name, peer): (&str, Result<Peer>)| peer.map_err(|error| skipped(&format!("{name} can't be installed: {error}"))).ok();
    peers.into_iter().filter_map(had).collect()
}

fn ministack() -> Result<Peer> {
    let venv = Venv::with("ministack", "ministack==1.5.33\n")?;
    let command = move |port: u16, _: &Path| {
        let mut command = Command::new(venv.bin().join("ministack"));
        // Its functions run in the Python and the Node that it finds, not in containers.
        command.env("GATEWAY_PORT", port.to_string()).env("MINISTACK_HOST", "127.0.0.1").env("BIND_HOST", "127.0.0.1");
        Ok(command)
    };
    Ok(Peer { name: "MiniStack 1.5", languages: &Language::ALL, command: Box::new(command), functions: Functions::Created })
}

fn serverless_offline() -> Result<Peer> {
    // The last of each that needs no licence key.
    let modules = node_modules("serverless", &["serverless@3.40.0", "serverless-offline@13.9.0"])?;
    let command = move |port: u16, folder: &Path| {
        let modules = modules.join("node_modules");
        std::os::unix::fs::symlink(&modules, folder.join("node_modules"))?;
        std::fs::write(folder.join("serverless.yml"), SERVICE)?;
        let mut command = Command::new("node");
        command.arg(modules.join("serverless/bin/serverless.js")).args(["offline", "start", "--host", "127.0.0.1", "--lambdaPort"]);
        command.arg(port.to_string()).arg("--httpPort").arg(free_port()?.to_string());
        command.env("SLS_TELEMETRY_DISABLED", "1").env("SLS_NOTIFICATIONS_MODE", "off");
        Ok(command)
    };
    let functions = Functions::Named("bench-dev-formula");
    Ok(Peer { name: "serverless-offline 13", languages: &Language::ALL, command: Box::new(command), functions })
}

/// The one runtime is told at the start, so that a service is of one language.
const SERVICE: &str = "\
service: bench
frameworkVersion: '3'
provider: {name: aws, runtime: '${env:RUNTIME}'}
plugins: [serverless-offline]
functions:
  formula: {handler: app.handler, timeout: 30}
";

fn emulator() -> Result<Peer> {
    let venv = Venv::with("emulator", "awslambdaric==4.2.2\n")?;
    let bin = own("emulator-bin");
    let program = bin.join("aws-lambda-rie");
    if !program.exists() {
        capture(Command::new("go").args(["install", EMULATOR]).env("GOBIN", &bin).env("CGO_ENABLED", "0"), BUILD)?;
    }
    let command = move |port: u16, folder: &Path| {
        let mut command = Command::new(&program);
        command.current_dir(folder).arg("--runtime-interface-emulator-address").arg(format!("127.0.0.1:{port}"));
        command.arg("--runtime-api-address").arg(format!("127.0.0.1:{}", free_port()?));
        command.arg(venv.bin().join("python")).args(["-m", "awslambdaric", "app.handler"]);
        Ok(command)
    };
    let functions = Functions::Named("function");
    Ok(Peer { name: "Runtime Interface Emulator", languages: &[Language::Python], command: Box::new(command), functions })
}

/// Free a moment ago; nothing else on a machine that is fit to measure on takes it meanwhile.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Peer {
    /// One that makes functions can be asked for several cold calls.
    pub(super) fn cold_calls(&self) -> usize {
        match self.functions {
            Functions::Created => super::COLD_CALLS,
            Functions::Named(_) => 1,
        }
    }

    /// Listening, with no function called yet.
    pub(super) fn start(&self, language: Language) -> Result<Running> {
        let folder = fresh("lambda")?;
        let (file, code) = language.handler();
        std::fs::write(folder.join(file), code)?;
        let port = free_port()?;
        let mut command = (self.command)(port, &folder)?;
        command.current_dir(&folder).env("RUNTIME", language.runtime());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = on_core(SERVER, || command.spawn().map_err(|e| format!("{} can't be started: {e}", self.name).into()))?;
        let running = Running { child, door: format!("http://127.0.0.1:{port}"), folder, functions: self.functions };
        // Whatever it answers at a path that nobody has.
        until(START, &format!("{} answers", self.name), || Ok(ask("GET", &format!("{}/", running.door), &[], "").ok()))?;
        Ok(running)
    }
}

impl Running {
    /// The address of a function that has not been called.
    pub(super) fn function(&self, language: Language, number: usize) -> Result<String> {
        let name = match self.functions {
            Functions::Named(name) => name.to_owned(),
            Functions::Created => self.create(language, &format!("formula-{number}"))?,
        };
        Ok(invocations(&self.door, &name))
    }

    fn create(&self, language: Language, name: &str) -> Result<String> {
        let (file, _) = language.handler();
        let script = "import base64, io, sys, zipfile\nzip = io.BytesIO()\nwith zipfile.ZipFile(zip, 'w') as file: file.write(sys.argv[1])\nprint(base64.b64encode(zip.getvalue()).decode())";
        let zip = capture(Command::new("python3").current_dir(&self.folder).args(["-c", script, file]), START)?;
        let wish = json!({ "FunctionName": name, "Runtime": language.runtime(), "Handler": "app.handler",
                           "Role": "arn:aws:iam::000000000000:role/any", "Code": { "ZipFile": zip.trim() } });
        ask("POST", &format!("{}/2015-03-31/functions", self.door), &SIGNED, wish.to_string())?.ok()?;
        Ok(name.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = wait(&mut self.child, Duration::from_secs(5));
    }
}
