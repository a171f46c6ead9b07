//! The last process: gives up every right and becomes the program.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::process::{DumpableBehavior, Pid};
use rustix::thread::UnshareFlags;

use super::inside::{At, FLOOR, Failed};
use super::spec::{Channel, CodeTree, FUNCTION_ID, JailLimits, Program, Shell};
use super::{Barrier, landlock, privileges, program, seccomp, syscalls};

/// Starts it as a child. In the child this returns only to say what failed.
pub(super) fn start(program: &Program, channel: OwnedFd, shell: &Shell, limits: &JailLimits, as_root: bool) -> Result<Pid, Failed> {
    if let Some(pid) = syscalls::fork().at(Barrier::Start)? {
        return Ok(pid);
    }
    rustix::process::setsid().at(Barrier::Start)?;
    descriptors(channel, program.channel).at(Barrier::Start)?;
    confine(limits, as_root)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    syscalls::reset_signals();
    rustix::process::chdir("/code").at(Barrier::Root)?;
    match execute(program, shell) {
        Err(failed) => Err(failed),
    }
}

/// Every barrier that a process carries itself, in the one order in which they can be set up.
fn confine(limits: &JailLimits, as_root: bool) -> Result<(), Failed> {
    privileges::go_first().at(Barrier::Limits)?;
    if as_root {
        syscalls::become_user(FUNCTION_ID).at(Barrier::User)?;
        // A process that changed its user may not write its own maps until it says this again.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).at(Barrier::User)?;
    }
    privileges::enter_user_namespace(UnshareFlags::empty()).at(Barrier::User)?;
    privileges::forbid_user_namespaces().at(Barrier::User)?;
    privileges::limit_always().at(Barrier::Limits)?;
    privileges::limit(None, limits).at(Barrier::Limits)?;
    privileges::drop_everything().at(Barrier::Capabilities)?;
    Ok(())
}

fn execute(program: &Program, shell: &Shell) -> Result<Infallible, Failed> {
    let texts = |list: Vec<String>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().at(Barrier::Start);
    let command = texts(program.command.clone())?;
    let env = texts(program.env.iter().map(|(name, value)| format!("{name}={value}")).collect())?;
    let path = program.command.first().map_or(Path::new(""), Path::new);
    program::refuse_own_binary(path).at(Barrier::Program)?;
    // Both need `no_new_privs` and no capability. The filter is last: it allows what a program needs.
    landlock::install(shell.isolation, matches!(shell.code, CodeTree::Building(_))).at(Barrier::Landlock)?;
    seccomp::install(shell.profile, shell.isolation).at(Barrier::Calls)?;
    let error = syscalls::exec(&command, &env);
    Err(Failed(Barrier::Program, io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
}

/// 0 to 2, and 3 for a runner; whatever else is open ends at exec.
fn descriptors(channel: OwnedFd, kind: Channel) -> io::Result<()> {
    let channel = syscalls::above(channel.as_fd(), FLOOR)?;
    match kind {
        Channel::Stdin => {
            syscalls::place(&channel, 0)?;
            syscalls::close_on_exec_from(3)
        }
        Channel::Wire => {
            let null: OwnedFd = File::open("/dev/null")?.into();
            let null = syscalls::above(null.as_fd(), FLOOR)?;
            syscalls::place(&null, 0)?;
            syscalls::place(&channel, 3)?;
            syscalls::close_on_exec_from(4)
        }
    }
}
