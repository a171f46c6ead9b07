//! Which system calls a function may make: an allowlist for each runtime, as one BPF program.
//!
//! Three parts, in this order. Arguments come first, since they decide about calls that are allowed
//! otherwise; the crate `seccompiler` words these. Then the numbers: allowed, refused (EPERM: known
//! and dangerous), unknown (ENOSYS: a C library then takes the older way, as from `clone3`, whose
//! flags no filter can see, to `clone`). Numbers are searched and not walked through, because the
//! kernel runs the program once for each of them when it is installed.
//!
//! A call by another architecture's numbers kills: nothing here holds for those. The lists, with
//! what `strict` takes away, are in [`calls`]. Not here: files ([`super::landlock`]) and rights
//! ([`super::privileges`]), which forbid most of this a second time.

mod calls;

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;

use mote_core::function::{Family, Isolation};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use serde::{Deserialize, Serialize};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    Python,
    Node,
    /// Any program, and whatever installs or compiles.
    Any,
}

impl From<Family> for Profile {
    fn from(family: Family) -> Profile {
        match family {
            Family::Python => Profile::Python,
            Family::Node => Profile::Node,
            Family::Java | Family::Executable | Family::Flow => Profile::Any,
        }
    }
}

/// One for each [`Profile`] and [`Isolation`]: they take longer to make than to install, and a
/// process hands down to its forks those that it has made.
static MADE: [[OnceLock<BpfProgram>; 2]; 3] = [const { [const { OnceLock::new() }; 2] }; 3];

/// Makes the program ahead of need.
pub(super) fn prepare(profile: Profile, isolation: Isolation) -> io::Result<&'static BpfProgram> {
    let [python, node, any] = &MADE;
    let [standard, strict] = match profile {
        Profile::Python => python,
        Profile::Node => node,
        Profile::Any => any,
    };
    let made = match isolation {
        Isolation::Standard => standard,
        Isolation::Strict => strict,
    };
    match made.get() {
        Some(made) => Ok(made),
        None => program(profile, isolation).map(|program| made.get_or_init(|| program)),
    }
}

/// Needs `no_new_privs`. From here on this process may do what the program may, which includes exec.
pub(super) fn install(profile: Profile, isolation: Isolation) -> io::Result<()> {
    let failed = |error: seccompiler::Error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        other => io::Error::other(other),
    };
    seccompiler::apply_filter(prepare(profile, isolation)?).map_err(failed)
}

fn program(profile: Profile, isolation: Isolation) -> io::Result<BpfProgram> {
    let mut program = vec![load_number()];
    // x32 has the same architecture, and this bit in its numbers.
    #[cfg(target_arch = "x86_64")]
    program.extend([jump_if_at_least(0x4000_0000, 0, 1), give(SeccompAction::KillProcess)]);
    program.extend(passing(refused(), libc::EPERM)?);
    program.extend(passing(unsupported(isolation), libc::EAFNOSUPPORT)?);
    program.extend(passing(ignored(), 0)?);
    program.push(load_number());
    program.extend(search(&ranges(&calls::verdicts(profile, isolation))));
    Ok(program)
}

// ---- arguments ----

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that are refused with these arguments as if the right to them were missing.
fn refused() -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let clone = calls::NEW_NAMESPACES.iter().map(|&flag| all([if_low(0, MaskedEq(flag), flag)]));
    let query = u64::from(u32::MAX);
    // Netlink alone has raw sockets for everybody.
    let raw = |kind: i32| all([if_low(0, Ne, libc::AF_NETLINK as u64), if_low(1, MaskedEq(0xf), kind as u64)]);
    Ok(BTreeMap::from([
        (libc::SYS_clone, clone.collect::<Result<_, _>>()?),
        (libc::SYS_ioctl, [TIOCSTI, TIOCLINUX].into_iter().map(|what| all([if_low(1, Eq, what)])).collect::<Result<_, _>>()?),
        (libc::SYS_personality, vec![all([if_low(0, Ne, query)])?]),
        (libc::SYS_setsockopt, vec![all([if_low(1, Eq, libc::IPPROTO_TCP as u64), if_low(2, Eq, TCP_ULP)])?]),
        (libc::SYS_socket, vec![raw(libc::SOCK_RAW)?, raw(SOCK_PACKET)?]),
    ]))
}

/// Calls that do nothing, and say that all is well: whoever asks for no core dumps has none. But the
/// limit that sees to that must stay ([`super::privileges`]), lower ones being weaker.
fn ignored() -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, Ne};
    let core = u64::from(libc::RLIMIT_CORE);
    let new = || SeccompCondition::new(2, SeccompCmpArgLen::Qword, Ne, 0);
    Ok(BTreeMap::from([
        (libc::SYS_setrlimit, vec![all([if_low(0, Eq, core)])?]),
        (libc::SYS_prlimit64, vec![all([if_low(1, Eq, core), new()])?]),
    ]))
}

/// Sockets of kinds that this kernel seems not to have.
fn unsupported(isolation: Isolation) -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, Ne};
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].into_iter();
    // What asks for the interfaces of the host asks by this; the C library does without.
    let families = families.chain((isolation == Isolation::Standard).then_some(libc::AF_NETLINK));
    let unknown = SeccompRule::new(families.map(|family| if_low(0, Ne, family as u64)).collect::<Result<_, _>>()?)?;
    let mut socket = vec![unknown, all([if_low(0, Eq, libc::AF_NETLINK as u64), if_low(2, Ne, libc::NETLINK_ROUTE as u64)])?];
    for family in [libc::AF_INET, libc::AF_INET6] {
        // Others load modules of the kernel that nobody has looked at for long.
        let [any, tcp, udp] = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|protocol| if_low(2, Ne, protocol as u64));
        socket.push(all([if_low(0, Eq, family as u64), any, tcp, udp])?);
    }
    Ok(BTreeMap::from([(libc::SYS_socket, socket), (libc::SYS_socketpair, vec![all([if_low(0, Ne, libc::AF_UNIX as u64)])?])]))
}

const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const SOCK_PACKET: i32 = 10;
/// Would load whatever module a name stands for.
const TCP_ULP: u64 = 31;

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

/// Compares the lower half of an argument: all that the kernel looks at in these calls.
fn if_low(argument: u8, compare: SeccompCmpOp, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value)
}

fn all<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

/// The rules' program with every way out of it that would allow the call leading past its end.
fn passing(rules: Result<Rules, seccompiler::BackendError>, errno: i32) -> io::Result<BpfProgram> {
    let make = |rules| {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        BpfProgram::try_from(SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?)
    };
    let mut program = rules.and_then(make).map_err(io::Error::other)?;
    let length = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        if same(instruction, &give(SeccompAction::Allow)) {
            *instruction = jump(length - at - 1);
        }
    }
    Ok(program)
}

// ---- numbers ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Refused,
    Unknown,
}

/// Numbers from `first` up to the next range.
#[derive(Debug, PartialEq)]
struct Range {
    first: u32,
    verdict: Verdict,
}

/// Every number there is, as few ranges as it takes.
fn ranges(verdicts: &BTreeMap<u32, Verdict>) -> Vec<Range> {
    let mut ranges = vec![Range { first: 0, verdict: Verdict::Unknown }];
    let mut next = 0;
    let mut add = |first: u32, verdict| match ranges.last_mut() {
        Some(last) if last.verdict == verdict => {}
        Some(last) if last.first == first => last.verdict = verdict,
        _ => ranges.push(Range { first, verdict }),
    };
    for (&number, &verdict) in verdicts {
        if number > next {
            add(next, Verdict::Unknown);
        }
        add(number, verdict);
        next = number + 1;
    }
    add(next, Verdict::Unknown);
    ranges
}

/// Halves the ranges until one is left.
fn search(ranges: &[Range]) -> BpfProgram {
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let Some(middle) = above.first().filter(|_| !below.is_empty()) else {
        return match ranges.first().map_or(Verdict::Unknown, |range| range.verdict) {
            Verdict::Allowed => vec![give(SeccompAction::Allow)],
            Verdict::Refused => vec![give(SeccompAction::Errno(libc::EPERM as u32))],
            Verdict::Unknown => vec![give(SeccompAction::Errno(libc::ENOSYS as u32))],
        };
    };
    let (lower, upper) = (search(below), search(above));
    // A conditional jump reaches 255 instructions; the plain one in between reaches any.
    [vec![jump_if_at_least(middle.first, 0, 1), jump(lower.len())], lower, upper].concat()
}

fn load_number() -> sock_filter {
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: 0 }
}

/// Skips `yes` instructions if the number is at least `least`, otherwise `no`.
fn jump_if_at_least(least: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, jt: yes, jf: no, k: least }
}

fn jump(over: usize) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JA) as u16, jt: 0, jf: 0, k: over as u32 }
}

fn give(action: SeccompAction) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: action.into() }
}

fn same(one: &sock_filter, other: &sock_filter) -> bool {
    (one.code, one.jt, one.jf, one.k) == (other.code, other.jt, other.jf, other.k)
}

#[cfg(test)]
#[path = "seccomp/tests.rs"]
mod tests;
