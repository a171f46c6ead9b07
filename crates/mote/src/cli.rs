//! The command line: what can be said, one file per command, and how a failure is told.
//!
//! A command talks to a server through [`crate::client`] and to a person through
//! [`crate::output`]; it knows nothing of stores and engines. `serve` and `dev` start a server
//! through [`crate::serve`].

mod audit;
mod bucket;
mod calls;
mod completion;
mod deploy;
mod dev;
mod dlq;
mod doctor;
mod event;
mod flow;
mod invoke;
mod list;
mod logs;
mod mqtt;
mod namespace;
mod new;
mod queue;
mod quota;
mod remove;
mod replay;
mod rollback;
mod rule;
mod secret;
mod serve;
mod show;
mod sign;
mod status;
mod timer;
mod token;
mod topic;
mod trace;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::client::Address;
use crate::failure::{Exit, Failure};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the request was refused, or the function failed
  2    the command line was not understood
  3    no server answered
  4    the platform failed
  130  Ctrl-C ended the wait for a deploy; the server goes on with it

Environment:
  MOTE_URL, MOTE_TOKEN  the server's control address and token
  MOTE_NAMESPACE        the namespace, instead of `--namespace`
  MOTE_CA               a PEM file of certificates to trust, for MOTE_URL with https://
  MOTE_DATA             the data directory, instead of `--data`
  MOTE_LOG              what the server logs (`info`, `mote_core=debug`, …)
  NO_COLOR              no colours";

/// Hand it the business logic, and it is a service.
#[derive(Debug, Parser)]
#[command(name = "mote", version, after_help = EXIT_CODES, arg_required_else_help = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server
    Serve(serve::Serve),
    /// Serve a folder's functions, and deploy each again when it is saved
    Dev(dev::Dev),
    /// Make a folder with a function to start from
    New(new::New),
    /// Make a function of a file or a folder, live at once
    Deploy(deploy::Deploy),
    /// Call a function
    Invoke(invoke::Invoke),
    /// Which calls there were, and what became of them
    Calls(calls::Calls),
    /// How a call came about, what came of it, where its time went
    Trace(trace::Trace),
    /// Send the event of a call once more
    Replay(replay::Replay),
    /// Events that were given up: look at them, send them again
    Dlq(dlq::Dlq),
    /// Functions that follow one another: the flows, and how a run stands
    Flow(flow::FlowCommand),
    /// Read what functions and the platform said
    Logs(logs::Logs),
    /// List the functions
    List(list::List),
    /// Show one function: limits, parameters, versions
    Show(show::Show),
    /// Take a function away, with all its versions
    Remove(remove::Remove),
    /// Make an earlier version live again
    Rollback(rollback::Rollback),
    /// Functions that the clock fires: their last and next runs
    Timer(timer::Timer),
    /// What clients of EventBridge have made: rules and schedules
    Rule(rule::Rule),
    /// Publish events, and say who gets them
    Topic(topic::Topic),
    /// Messages that wait until somebody receives them
    Queue(queue::Queue),
    /// Devices: publish to them, and what the broker holds
    Mqtt(mqtt::Mqtt),
    /// Buckets and their objects
    Bucket(bucket::Bucket),
    /// Values that functions are given and nobody reads back
    Secret(secret::Secret),
    /// Credentials for others than the administrator
    Token(token::Token),
    /// The namespaces that hold anything
    Namespace(namespace::Namespaces),
    /// What a namespace may use
    Quota(quota::Quota),
    /// Make a URL that allows one call, for a while
    Sign(sign::Sign),
    /// Who changed what, and who tried what he may not
    Audit(audit::Audit),
    /// Sample events to call a function with
    Event(event::Event),
    /// Tell what this machine can run, and how well fenced
    Doctor(doctor::Doctor),
    /// Ask a server how it is
    Status(status::Status),
    /// Print a completion script for a shell
    Completion(completion::Completion),
}

/// Flags of every command that asks a server.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    server: Address,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Output {
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Namespace {
    /// The namespace that is meant
    #[arg(long, value_name = "NS", env = "MOTE_NAMESPACE", hide_env_values = true, default_value = "default")]
    namespace: String,
}

/// `90`, `90s`, `10m`, `2h`, `7d` in milliseconds.
fn age(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("wanted: a number and one of ms, s, m, h, d, such as 10m".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "wanted: a number and a unit, such as 10m".to_owned())?;
    count.checked_mul(unit_ms).ok_or_else(|| "that is too long".to_owned())
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Exit {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => {
            // Help and version come this way too, and are no failures.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            if exit == Exit::Usage && std::env::args_os().any(|argument| argument == "--json") {
                return misunderstood(&error.to_string()).tell(true);
            }
            return error.print().map_or(Exit::Platform, |()| exit);
        }
    };
    let json = command.json();
    dispatch(command).unwrap_or_else(|failure| failure.tell(json))
}

/// What the parser says in paragraphs (what is wrong, tips, usage), as one of our failures.
fn misunderstood(said: &str) -> Failure {
    let mut paragraphs = said.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let wrong = paragraphs.next().unwrap_or_default();
    let rest: Vec<String> = paragraphs.collect();
    Failure::usage(wrong.trim_start_matches("error: ")).hint(rest.join(" "))
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(it) => it.run(),
        Command::Dev(it) => it.run(),
        Command::New(it) => it.run(),
        Command::Completion(it) => it.run(CommandLine::command()),
        Command::Deploy(it) => ask(it.run()),
        Command::Invoke(it) => ask(it.run()),
        Command::Calls(it) => ask(it.run()),
        Command::Trace(it) => ask(it.run()),
        Command::Replay(it) => ask(it.run()),
        Command::Dlq(it) => ask(it.run()),
        Command::Flow(it) => ask(it.run()),
        Command::Logs(it) => ask(it.run()),
        Command::List(it) => ask(it.run()),
        Command::Show(it) => ask(it.run()),
        Command::Remove(it) => ask(it.run()),
        Command::Rollback(it) => ask(it.run()),
        Command::Timer(it) => ask(it.run()),
        Command::Rule(it) => ask(it.run()),
        Command::Topic(it) => ask(it.run()),
        Command::Queue(it) => ask(it.run()),
        Command::Mqtt(it) => ask(it.run()),
        Command::Bucket(it) => ask(it.run()),
        Command::Secret(it) => ask(it.run()),
        Command::Token(it) => ask(it.run()),
        Command::Namespace(it) => ask(it.run()),
        Command::Quota(it) => ask(it.run()),
        Command::Sign(it) => ask(it.run()),
        Command::Audit(it) => ask(it.run()),
        Command::Event(it) => it.run(),
        Command::Doctor(it) => ask(it.run()),
        Command::Status(it) => ask(it.run()),
    }
}

/// A command that only asks needs no pool of threads.
fn ask(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::platform(format!("no runtime could be made: {error}")))?.block_on(command)
}

impl Command {
    /// Whether a failure is told in JSON as well.
    fn json(&self) -> bool {
        match self {
            Command::Serve(it) => it.output.json,
            Command::Dev(_) | Command::Completion(_) => false,
            Command::New(it) => it.output.json,
            Command::Deploy(it) => it.common.output.json,
            Command::Invoke(it) => it.output.json,
            Command::Calls(it) => it.json(),
            Command::Trace(it) => it.common.output.json,
            Command::Replay(it) => it.common.output.json,
            Command::Dlq(it) => it.json(),
            Command::Flow(it) => it.json(),
            Command::Logs(it) => it.common.output.json,
            Command::List(it) => it.common.output.json,
            Command::Show(it) => it.common.output.json,
            Command::Remove(it) => it.common.output.json,
            Command::Rollback(it) => it.common.output.json,
            Command::Timer(it) => it.json(),
            Command::Rule(it) => it.json(),
            Command::Topic(it) => it.json(),
            Command::Queue(it) => it.json(),
            Command::Mqtt(it) => it.json(),
            Command::Bucket(it) => it.json(),
            Command::Secret(it) => it.json(),
            Command::Token(it) => it.json(),
            Command::Namespace(it) => it.json(),
            Command::Quota(it) => it.json(),
            Command::Sign(it) => it.common.output.json,
            Command::Audit(it) => it.common.output.json,
            Command::Event(it) => it.json(),
            Command::Doctor(it) => it.output.json,
            Command::Status(it) => it.common.output.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age("90"), Ok(90_000));
        assert_eq!(age("10m"), Ok(600_000));
        assert_eq!(age("250ms"), Ok(250));
        for bad in ["", "m", "10x", "-1s", "1.5h", "99999999999999999d", "ä"] {
            assert!(age(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in CommandLine::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("mote "), "`mote {}` has no example in its help", command.get_name());
        }
    }

    #[test]
    fn a_command_has_one_positional_at_most() {
        let commands = CommandLine::command();
        for command in commands.get_subcommands().flat_map(|command| command.get_subcommands().chain([command])) {
            assert!(command.get_positionals().count() <= 1, "`{}` has more", command.get_name());
        }
    }
}
