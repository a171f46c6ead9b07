//! `mote serve`: a server in the foreground, until a signal ends it.
//!
//! What is in the server stands in [`crate::serve`].

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mote_core::invoke::deliver::WAIT_SCALE_MIN;
use mote_dialects::plain::size_bytes;
use mote_mqtt::Guests;
use mote_store::RecordBounds;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Output, age};
use crate::config::{Addresses, AwsClients, AwsKeys, check_data_dir, default_data_dir};
use crate::failure::{Exit, Failure};
use crate::keyring::PassphraseFrom;
use crate::output;
use crate::serve::{Bridge, Busy, Config, Server};
use crate::tls::TlsFiles;

const EXAMPLES: &str = "\
Examples:
  mote serve
  mote serve --data ./data --public 127.0.0.1:0 --control 127.0.0.1:0 --aws 127.0.0.1:0 --mqtt 127.0.0.1:0 --json
  mote serve --public 0.0.0.0:80

Nothing listens beyond this machine unless an address asks for it. With --json the first line on
standard output, once every door answers, is
{\"ready\":true,\"public\":\"http://…\",\"control\":\"http://…\",\"aws\":\"http://…\",\"mqtt\":\"mqtt://…\",\"token\":\"…\"}.
SIGTERM or Ctrl-C: no new calls, 30 s for those that run; a second one ends at once.";

/// What runs may go on for so long after the first signal.
pub(super) const GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// Where functions, objects and logs are kept [default: MOTE_DATA, then ~/.local/share/mote]
    #[arg(long = "data", visible_alias = "data-dir", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    passphrase: PassphraseFrom,
    #[command(flatten)]
    tls: TlsFiles,
    /// Let devices without a password publish and subscribe in this namespace
    #[arg(long, value_name = "NAMESPACE")]
    mqtt_anonymous: Option<mote_core::function::Name>,
    /// Take messages from another broker, and give it some: mqtt://USER:PASSWORD@HOST/NAMESPACE?in=FILTER&out=FILTER
    #[arg(long, value_name = "URL", env = "MOTE_MQTT_BRIDGE", hide_env_values = true)]
    mqtt_bridge: Option<String>,
    /// How many connections one address may have at each of the public, control and aws doors
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_EACH, value_parser = clap::value_parser!(u32).range(1..))]
    connections_each: u32,
    /// Keep records of calls for so long: `12h`, `30d` [default: 7d]
    #[arg(long, value_name = "AGE", value_parser = age)]
    records_age: Option<u64>,
    /// Keep so many bytes of them, `100MB` or `1GiB`, a quarter at most of one function [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    records_size: Option<u64>,
    /// Wait this part of the time that lies between two tries of an event: for tests, which can't wait for minutes
    #[arg(long, value_name = "PART", default_value_t = 1.0, value_parser = part)]
    retry_scale: f64,
    #[command(flatten)]
    aws: AwsClients,
    #[command(flatten)]
    pub(super) output: Output,
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "wanted: a number from 0.001 to 1, such as 0.01".to_owned())?;
    if (WAIT_SCALE_MIN..=1.0).contains(&part) { Ok(part) } else { Err("wanted: a number from 0.001 to 1".to_owned()) }
}

/// An office behind one address has that many; to fill a door takes several addresses.
pub(super) const CONNECTIONS_EACH: u32 = 1024;

impl Serve {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let data_dir = self.data_dir.unwrap_or_else(default_data_dir);
        check_data_dir(&data_dir, "name another directory with `--data DIR`")?;
        let bridge = self.mqtt_bridge.as_deref().map(Bridge::parse).transpose()?;
        let (addresses, passphrase, tls) = (self.addresses, self.passphrase, self.tls);
        let usual = RecordBounds::default();
        let records = RecordBounds {
            age: self.records_age.map_or(usual.age, Duration::from_millis),
            total_bytes: self.records_size.unwrap_or(usual.total_bytes),
        };
        let (guests, connections_each) = (Guests(self.mqtt_anonymous), self.connections_each);
        let aws = self.aws;
        let config = Config {
            data_dir,
            addresses,
            busy: Busy::Refuse,
            passphrase,
            tls,
            guests,
            bridge,
            connections_each,
            records,
            retry_scale: self.retry_scale,
            aws,
        };
        listen_to_tracing("info");
        block_on(async {
            let mut signals = Signals::new()?;
            let any_key = config.aws.aws_keys == AwsKeys::Local;
            let server = Server::start(config).await?;
            if any_key {
                tracing::info!("the aws door believes whatever key a program on this machine signs with; `--aws-keys known` ends that");
            }
            mote_engine_process::let_go_of_code();
            announce(&server, self.output.json);
            signals.next().await;
            tracing::info!("draining: calls that run have {} s", GRACE.as_secs());
            tokio::select! {
                () = server.stop(GRACE) => Ok(Exit::Done),
                () = signals.next() => Ok(Exit::Refused),
            }
        })
    }
}

fn size(text: &str) -> Result<u64, String> {
    // More than a database can have would be no bound.
    let bytes = size_bytes(text).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| "wanted: a number and one of B, kB, MB, GB, KiB, MiB, GiB, such as 100MB".to_owned())
}

fn announce(server: &Server, json: bool) {
    let (doors, token) = (server.doors(), server.token());
    if json {
        output::json(&json!({
            "ready": true, "public": doors.public, "control": doors.control, "aws": doors.aws, "mqtt": doors.mqtt, "token": token,
        }));
        return;
    }
    output::line_out(&output::bold("mote is ready"));
    output::pairs(&[
        ("  public", doors.public.clone()),
        ("  control", doors.control.clone()),
        ("  aws", doors.aws.clone()),
        ("  mqtt", doors.mqtt.clone()),
        ("  data", server.data_dir().display().to_string()),
    ]);
}

/// The runtime of a server. Few threads, and never more than cores: what waits costs nothing, what
/// computes is a function's own process, and two threads on one core only wake each other.
pub(super) fn block_on(server: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(cores.min(4)).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::platform(format!("no runtime could be made: {error}")))?;
    let ended = runtime.block_on(server);
    // What still blocks after the grace must not keep the process alive.
    runtime.shutdown_background();
    ended
}

/// Sends the server's own log to standard error; `MOTE_LOG` says how much of it.
pub(super) fn listen_to_tracing(usual: &str) {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("MOTE_LOG").unwrap_or_else(|_| {
        // That crate takes a client's every mistake for an error of the server; what is one, our own door tells.
        tracing_subscriber::EnvFilter::new(format!("{usual},s3s=off"))
    });
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A second listener is refused; the first one is as good.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(coloured).with_target(false).try_init();
}

/// SIGTERM and SIGINT, as they come.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::platform(format!("signals can't be heard: {error}")));
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}
