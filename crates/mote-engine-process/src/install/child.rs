//! Runs one installer in its jail: bounded in time and resources, its output told line by line.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::Progress;
use mote_core::{Code, Error, Result};

use crate::artifact::Place;
use crate::jail::spec::{Fill, GroupLimits, JailLimits, Program, Shell};
use crate::jail::{Exit, ForkServer, Groups, Jail};
use crate::lines;

const TIME_MAX: Duration = Duration::from_secs(600);
/// Of its output, for the error.
const TAIL_LINES: usize = 25;

/// Enough for a compiler.
pub(super) const LIMITS: JailLimits = JailLimits {
    data_bytes: 4 << 30,
    processes: 1024,
    open_files: 4096,
    tmp_bytes: 256 << 20,
    file_bytes: 4 << 30,
    group: GroupLimits { memory_bytes: 8 << 30, cpu_millis: 0, processes: 1024 },
    ..JailLimits::WIDEST
};

pub(super) struct Ended {
    pub(super) success: bool,
    /// Its last lines.
    pub(super) tail: String,
}

/// `place` is what it writes to.
pub(super) async fn run(
    server: &ForkServer,
    groups: &Groups,
    shell: &Shell,
    program: Program,
    place: Arc<Place>,
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<Ended> {
    let null = File::open("/dev/null").map_err(|error| Error::internal("/dev/null can't be opened").caused_by(error))?;
    let jail = Jail::spawn(server, shell, None, groups).await?;
    jail.fill(&Fill { artifact: None, program: Some(program), limits: LIMITS, secrets: Vec::new() }, Some(OwnedFd::from(null)))?;
    let mut running = Running { jail: Some(jail), place: Some(place) };
    let tail = Mutex::new(VecDeque::new());
    let note = |line: String| {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.clone());
        progress.tell(line);
    };
    let exit = tokio::select! {
        exit = watch(&mut running, note) => exit,
        () = clock.sleep(TIME_MAX) => {
            let detail = format!("the installer did not finish within {} seconds", TIME_MAX.as_secs());
            Err(Error::new(Code::BuildFailed, detail).hint("Deploy with the dependencies in the bundle."))
        }
    };
    running.end().await;
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended { success: exit? == Exit::Code(0), tail: Vec::from(tail).join("\n") })
}

async fn watch(running: &mut Running, note: impl FnMut(String) + Copy) -> Result<Exit> {
    let Some(jail) = &mut running.jail else { return Ok(Exit::Killed) };
    let (stdout, stderr) = (jail.stdout.take(), jail.stderr.take());
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
    let exited = async {
        jail.built().await?;
        jail.filled().await?;
        jail.exited().await
    };
    // The output ends when the last process of the jail has closed it.
    tokio::join!(out, err, exited).2
}

/// What is given up, also because nobody waits any more, is ended first and removed then.
struct Running {
    jail: Option<Jail>,
    place: Option<Arc<Place>>,
}

impl Running {
    async fn end(&mut self) {
        if let Some(jail) = self.jail.take() {
            jail.end().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(jail), place) = (self.jail.take(), self.place.take()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                jail.end().await;
                drop(place);
            });
        }
    }
}
