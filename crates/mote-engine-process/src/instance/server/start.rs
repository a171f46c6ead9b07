//! From nothing to a server that accepts connections.

use std::sync::Arc;
use std::time::Duration;

use mote_core::Result;
use mote_core::function::{Function, Signature};

use super::program::program;
use super::{Line, Server};
use crate::host::Host;
use crate::instance::start::{Started, no_input, patience, print, refused};
use crate::instance::{Contract, Instance};
use crate::runtime::Interpreter;

/// Between two looks whether it listens: doubles from the first to the last.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(50);

pub(crate) async fn start(
    host: &Arc<Host>,
    function: &Arc<Function>,
    port: u16,
    interpreter: Option<&Interpreter>,
    data_bytes: u64,
) -> Result<Started> {
    let begun = host.clock.monotonic();
    let used = host.artifacts.hold(function.artifact);
    let show = interpreter.map_or(&[][..], |interpreter| &interpreter.mounts);
    let given = host.given(function).await?;
    let program = program(function, port, interpreter, given.env);
    let mut empty = host.stock.take(function.runtime.family, &host.shell(function, show, None, None).await).await?;
    let instance = Instance::new(host.clone(), function.clone(), given.mask, Contract::Server(Server::new(port, empty.jail.sockets())));
    let _ = instance.group.set(empty.jail.group());
    let printed = print(&instance, &mut empty.jail);
    empty.jail.fill(&host.fill(function, data_bytes, Some(program), given.files), Some(no_input()?))?;
    let gateway = host.serve_gateway(empty.filled().await?, function.clone(), &instance.depth, None)?;
    let mut jail = empty.into_started();

    let limit = patience(function);
    let (ended, exit, hint) = tokio::select! {
        biased;
        () = listening(&instance) => {
            let took = host.clock.monotonic() - begun;
            return Ok(Started { instance, signature: Signature::default(), took, jail, wire: None, printed, gateway, used });
        }
        exit = jail.exited() => {
            let exit = exit?;
            (format!("its process ended before it listened on port {port}: {exit}"), Some(exit), STAYS)
        }
        () = host.clock.sleep(limit) => {
            (format!("it did not listen on port {port} within {} s", limit.as_secs()), None, LISTENS)
        }
    };
    let error = refused(&instance, jail, printed, ended, exit).await;
    Err(if error.hint_text().is_none() { error.hint(hint) } else { error })
}

const STAYS: &str = "A server stays in the foreground, and serves until it is ended.";
const LISTENS: &str = "Listen on 127.0.0.1 or 0.0.0.0, at the port that the variable PORT says.";

/// Until the first connection, which is kept for the first call: a server that serves one
/// connection at a time would wait on it.
async fn listening(instance: &Arc<Instance>) {
    let clock = &instance.host.clock;
    let Some(server) = instance.server() else { return };
    let mut pause = LOOK_MIN;
    loop {
        if let Ok(line) = Line::open(instance, server).await {
            return server.keep(line, clock.monotonic());
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}
