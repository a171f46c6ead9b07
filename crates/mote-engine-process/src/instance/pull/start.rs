//! From nothing to a runtime that has asked for its first call.

use std::path::PathBuf;
use std::sync::Arc;

use mote_core::Result;
use mote_core::error::Report;
use mote_core::function::{Function, Signature};

use super::program::program;
use super::{Api, serve};
use crate::host::Host;
use crate::instance::start::{Started, failed, no_input, patience, print, refused};
use crate::instance::{Contract, Instance};
use crate::runtime::Interpreter;

/// `runner`: where mote's own files for the interpreter lie.
pub(crate) async fn start(
    host: &Arc<Host>,
    function: &Arc<Function>,
    interpreter: Option<&Interpreter>,
    runner: Option<PathBuf>,
    data_bytes: u64,
) -> Result<Started> {
    let begun = host.clock.monotonic();
    let used = host.artifacts.hold(function.artifact);
    let show = interpreter.map_or(&[][..], |interpreter| &interpreter.mounts);
    let given = host.given(function).await?;
    let program = program(function, interpreter, given.env);
    let mut empty = host.stock.take(function.runtime.family, &host.shell(function, show, runner, None).await).await?;
    let instance = Instance::new(host.clone(), function.clone(), given.mask, Contract::Pull(Box::new(Api::new())));
    let _ = instance.group.set(empty.jail.group());
    let printed = print(&instance, &mut empty.jail);
    empty.jail.fill(&host.fill(function, data_bytes, Some(program), given.files), Some(no_input()?))?;
    let asked = instance.clone();
    let api: crate::gateway::RuntimeApi = Box::new(move |connection| Box::pin(serve(asked.clone(), connection)));
    let gateway = host.serve_gateway(empty.filled().await?, function.clone(), &instance.depth, Some(api))?;
    let mut jail = empty.into_started();

    let limit = patience(function);
    let (ended, exit) = tokio::select! {
        biased;
        outcome = outcome(&instance) => match outcome {
            Ok(()) => {
                let took = host.clock.monotonic() - begun;
                return Ok(Started { instance, signature: Signature::default(), took, jail, wire: None, printed, gateway, used });
            }
            Err(report) => {
                // Its last lines are in the log before the caller hears of it.
                let _ = refused(&instance, jail, printed, String::new(), None).await;
                return Err(failed(format!("{}: {}", report.kind, report.message)).with_report(report));
            }
        },
        exit = jail.exited() => {
            let exit = exit?;
            (format!("its process ended before it asked for a call: {exit}"), Some(exit))
        }
        () = host.clock.sleep(limit) => (format!("it did not ask for a call within {} s", limit.as_secs()), None),
    };
    let error = refused(&instance, jail, printed, ended, exit).await;
    Err(if error.hint_text().is_none() { error.hint(ASKS) } else { error })
}

const ASKS: &str = "It is to ask for its calls at the address that the variable AWS_LAMBDA_RUNTIME_API says.";

/// What the runtime says of its start.
async fn outcome(instance: &Instance) -> Result<(), Report> {
    let Some(api) = instance.api() else { return Ok(()) };
    loop {
        if let Some(outcome) = api.outcome() {
            return outcome;
        }
        api.begun.notified().await;
    }
}
