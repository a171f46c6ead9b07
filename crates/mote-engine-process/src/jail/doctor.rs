//! What this host can enforce, found out by building a jail and not by guessing from versions.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use mote_core::function::Isolation;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::Serialize;

use super::cgroup::{Entrance, Groups};
use super::message::{self, Ask, Word};
use super::spec::{Channel, CodeTree, FUNCTION_ID, Fill, JailLimits, Network, Profile, Program, Shell};
use super::{Barrier, fork_server, users};

/// One barrier and whether this host lets mote set it up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub enforced: bool,
    /// The least isolation that insists on it.
    pub required: Isolation,
    pub why: String,
    /// What stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    pub(super) fn stands(name: &'static str, why: &str) -> Check {
        Check { name, enforced: true, required: Isolation::Standard, why: why.to_owned(), instead: None, hint: None }
    }

    pub(super) fn lacks(name: &'static str, why: &str) -> Check {
        Check { enforced: false, ..Check::stands(name, why) }
    }

    pub(super) fn only_strict(self) -> Check {
        Check { required: Isolation::Strict, ..self }
    }
}

/// Builds one jail with an empty program in it and reports on each barrier. Blocks for a few milliseconds.
pub fn doctor() -> Vec<Check> {
    doctor_of(Path::new("/proc/self/exe"))
}

/// The same with another binary that can become a jail.
pub fn doctor_of(executable: &Path) -> Vec<Check> {
    let probed = probe(executable, Network::Redirected);
    let (probed, no_way_out) = match &probed {
        Ok(Word::Failed { barrier, error, .. }) if barrier == Barrier::Redirects.name() => {
            (probe(executable, Network::Sealed), Some(error.clone()))
        }
        _ => (probed, None),
    };
    let broken = match probed {
        Ok(Word::Failed { barrier, error, .. }) => Some((barrier, error)),
        Ok(_) => None,
        Err(error) => Some((Barrier::Start.name().to_owned(), error.to_string())),
    };
    let at = broken.as_ref().map(|(barrier, _)| Barrier::ALL.iter().position(|b| b.name() == barrier).unwrap_or(0));
    let judge = |(index, barrier): (usize, &Barrier)| match (&broken, at) {
        _ if *barrier == Barrier::Redirects
            && let Some(why) = &no_way_out =>
        {
            no_redirects(why)
        }
        (Some((_, error)), Some(at)) if index == at => Check { hint: hint(*barrier), ..Check::lacks(barrier.name(), error) },
        (Some(_), Some(at)) if index > at => Check::lacks(barrier.name(), "not reached: the barrier before it can't be set up"),
        _ if *barrier == Barrier::User => Check::stands(barrier.name(), &shared_user()),
        _ => Check::stands(barrier.name(), "set up in a jail just now"),
    };
    let groups = Groups::open(&format!("doctor-{}", std::process::id()));
    Barrier::ALL.iter().enumerate().map(judge).chain(super::ladder::optional(&groups)).collect()
}

/// Why no function here can ever have a way out, or that one can; an error if this look can't tell.
/// Builds a jail, and blocks for so long; `place` is a directory to do it in. Whatever else is
/// missing is for the first start to say.
pub(crate) fn missing_way_out(executable: &Path, place: &Path) -> io::Result<Option<String>> {
    lacks_way_out(probe_in(executable, place, Network::Redirected)?)
}

fn lacks_way_out(word: Word) -> io::Result<Option<String>> {
    match word {
        Word::Failed { barrier, error, errno: Some(errno) } if barrier == Barrier::Redirects.name() && LACKING.contains(&errno) => {
            Ok(Some(error))
        }
        Word::Failed { error, .. } => Err(io::Error::other(error)),
        Word::Built | Word::Filled | Word::Sockets | Word::Exited(_) => Ok(None),
    }
}

/// What a kernel says of something that it does not have, or has not for this process, and never
/// for want of memory or descriptors: that may be otherwise a moment later.
const LACKING: &[i32] = &[
    libc::ENOSYS,
    libc::EPERM,
    libc::EACCES,
    libc::ENOENT,
    libc::EINVAL,
    libc::EOPNOTSUPP,
    libc::ENOPROTOOPT,
    libc::EAFNOSUPPORT,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
];

/// What to do about that.
pub(crate) const NO_WAY_OUT: &str = "`modprobe nft_tproxy`, or boot a kernel with CONFIG_NFT_TPROXY, and start mote again. With `egress = \"none\"` a function runs without it.";

fn no_redirects(why: &str) -> Check {
    let instead = "functions with `egress = \"none\"` run, and don't reach other functions by name; those that ask for more are refused";
    Check { instead: Some(instead.to_owned()), hint: Some(NO_WAY_OUT.to_owned()), ..Check::lacks(Barrier::Redirects.name(), why) }
}

/// No barrier of its own: what it adds is that functions can't use up what the kernel keeps for a user.
fn shared_user() -> String {
    match users::missing() {
        None => "each jail is a user of the host of its own".to_owned(),
        Some(why) => format!("set up in a jail just now; {why}"),
    }
}

fn hint(barrier: Barrier) -> Option<String> {
    let restricted = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let text = match barrier {
        Barrier::User if restricted("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") => {
            "AppArmor keeps user namespaces from ordinary programs: give mote a profile with `userns,`, or set kernel.apparmor_restrict_unprivileged_userns=0."
        }
        Barrier::User if restricted("/proc/sys/kernel/unprivileged_userns_clone", "0") => "Set kernel.unprivileged_userns_clone=1.",
        Barrier::User if restricted("/proc/sys/user/max_user_namespaces", "0") => "Raise user.max_user_namespaces above 0.",
        Barrier::User | Barrier::Namespaces => {
            "In a container, let mote create namespaces (seccomp and AppArmor profile), or run it on the host."
        }
        Barrier::Root => "mote needs Linux 5.12 or newer, and in a container a /proc that is not masked.",
        _ => return None,
    };
    Some(text.to_owned())
}

fn probe(executable: &Path, network: Network) -> io::Result<Word> {
    let place = tempdir()?;
    let outcome = probe_in(executable, &place, network);
    fs::remove_dir_all(&place)?;
    outcome
}

fn tempdir() -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("mote-doctor-{}", std::process::id()));
    fs::create_dir(&path)?;
    Ok(path)
}

fn probe_in(executable: &Path, place: &Path, network: Network) -> io::Result<Word> {
    let etc = super::etc::prepare(place)?;
    let limits =
        JailLimits { data_bytes: 64 << 20, processes: 16, open_files: 64, tmp_bytes: 1 << 20, file_bytes: 1 << 20, ..JailLimits::WIDEST };
    let shell = Shell {
        code: CodeTree::Below(place.to_owned()),
        runner: None,
        etc: etc.clone(),
        show: Vec::new(),
        hide: Vec::new(),
        network,
        profile: Profile::Any,
        isolation: Isolation::Standard,
        tmp_bytes: limits.tmp_bytes,
        standby: None,
    };
    // It is not there, so the last thing to fail is exec: then every barrier stands.
    let program = Program { command: vec!["/nothing".to_owned()], env: Vec::new(), channel: Channel::Stdin };
    let artifact = etc.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let fill = Fill { artifact, program: Some(program), limits, secrets: Vec::new() };
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let null: OwnedFd = fs::File::open("/dev/null")?.into();
    let nowhere = || Ok::<_, io::Error>(OwnedFd::from(fs::File::options().write(true).open("/dev/null")?));
    let _server = fork_server::fork_once(executable, &shell, theirs, [nowhere()?, nowhere()?])?;
    message::ask(ours.as_fd(), Ask::Build { entrance: Entrance::default(), user: FUNCTION_ID }, &shell, &[])?;
    // One that failed already takes it no more, and has said why.
    let _ = message::ask(ours.as_fd(), Ask::Fill, &fill, &[null]);
    let verdict = loop {
        let (bytes, _) = message::receive(ours.as_fd())?;
        match serde_json::from_slice(&bytes) {
            Ok(Word::Built | Word::Filled) => {}
            Ok(Word::Failed { barrier, .. }) if barrier == Barrier::Program.name() => break Ok(Word::Filled),
            Ok(word) => break Ok(word),
            Err(_) => break Err(io::Error::other("the jail ended without a word")),
        }
    };
    // Until the last process in it is dead.
    rustix::net::shutdown(&ours, rustix::net::Shutdown::Write)?;
    while message::receive(ours.as_fd()).is_ok_and(|(bytes, _)| !bytes.is_empty()) {}
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_kernel_will_never_have_is_a_missing_way_out() {
        let failed = |barrier: Barrier, errno| Word::Failed { barrier: barrier.name().to_owned(), error: "why".to_owned(), errno };
        let check = |word, wanted: Option<Option<&str>>| {
            assert_eq!(lacks_way_out(word).ok(), wanted.map(|why| why.map(str::to_owned)));
        };
        for errno in [libc::EPROTONOSUPPORT, libc::ENOENT, libc::EPERM] {
            check(failed(Barrier::Redirects, Some(errno)), Some(Some("why")));
        }
        for errno in [libc::ENOMEM, libc::ENOBUFS, libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::EINTR] {
            check(failed(Barrier::Redirects, Some(errno)), None);
        }
        check(failed(Barrier::Redirects, None), None);
        // Nobody got so far as to see.
        check(failed(Barrier::Namespaces, Some(libc::EPERM)), None);
        check(Word::Filled, Some(None));
    }
}
