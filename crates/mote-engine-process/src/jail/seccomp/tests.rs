//! The filter run over every call as the kernel would; against a real kernel: `tests/it/confinement.rs`.

use super::*;

/// What the kernel would do: the instructions that seccomp knows, run over one call.
fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = [number, arch, 0, 0].to_vec();
    data.extend(arguments.iter().flat_map(|argument| [*argument as u32, (argument >> 32) as u32]));
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let it = &program[at];
        at += 1;
        match u32::from(it.code) {
            // LD W ABS, ALU AND K, JA, JEQ, JGT, JGE (all with K), RET K
            0x20 => accumulator = data[it.k as usize / 4],
            0x54 => accumulator &= it.k,
            0x05 => at += it.k as usize,
            code @ (0x15 | 0x25 | 0x35) => {
                let holds = match code {
                    0x15 => accumulator == it.k,
                    0x25 => accumulator > it.k,
                    _ => accumulator >= it.k,
                };
                at += usize::from(if holds { it.jt } else { it.jf });
            }
            0x06 => return it.k,
            code => panic!("an instruction of code {code:#x} at {}", at - 1),
        }
    }
}

const TIOCGWINSZ: u64 = 0x5413;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

fn errno(errno: i32) -> u32 {
    0x0005_0000 | errno as u32
}

#[cfg(target_arch = "x86_64")]
const HERE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const HERE: u32 = 0xc000_00b7;

fn judge(profile: Profile, isolation: Isolation, call: libc::c_long, arguments: [u64; 3]) -> u32 {
    let [a, b, c] = arguments;
    run(&program(profile, isolation).unwrap(), HERE, call as u32, [a, b, c, 0, 0, 0])
}

#[test]
fn each_call_gets_the_verdict_of_its_list() {
    for profile in [Profile::Python, Profile::Node, Profile::Any] {
        for isolation in [Isolation::Standard, Isolation::Strict] {
            let (program, verdicts) = (program(profile, isolation).unwrap(), calls::verdicts(profile, isolation));
            // Up to numbers that no kernel has yet.
            for number in 0..600 {
                let wanted = match verdicts.get(&number) {
                    // All zero: a clone without flags, an ioctl of nothing; sockets and personality come below.
                    _ if [libc::SYS_socket, libc::SYS_socketpair, libc::SYS_personality].contains(&i64::from(number)) => continue,
                    Some(Verdict::Allowed) => ALLOW,
                    Some(Verdict::Refused) => errno(libc::EPERM),
                    Some(Verdict::Unknown) | None => errno(libc::ENOSYS),
                };
                assert_eq!(run(&program, HERE, number, [0; 6]), wanted, "call {number} of {profile:?} {isolation:?}");
            }
        }
    }
}

#[test]
fn arguments_decide_where_they_must() {
    let check = |call, arguments, wanted: u32| {
        for profile in [Profile::Python, Profile::Node, Profile::Any] {
            assert_eq!(judge(profile, Isolation::Standard, call, arguments), wanted, "call {call} {arguments:x?}");
        }
    };
    let (thread, fork) = (0x003d_0f00, 0x0120_0011);
    check(libc::SYS_clone, [thread, 0, 0], ALLOW);
    check(libc::SYS_clone, [fork, 0, 0], ALLOW);
    for flag in calls::NEW_NAMESPACES {
        check(libc::SYS_clone, [flag | 17, 0, 0], errno(libc::EPERM));
    }
    check(libc::SYS_clone3, [0; 3], errno(libc::ENOSYS));
    check(libc::SYS_ioctl, [0, TIOCGWINSZ, 0], ALLOW);
    // The kernel takes the lower half alone, so a filter that looked at all of it could be fooled.
    check(libc::SYS_ioctl, [0, TIOCSTI | 1 << 32, 0], errno(libc::EPERM));
    check(libc::SYS_ioctl, [0, TIOCLINUX, 0], errno(libc::EPERM));
    check(libc::SYS_personality, [0xffff_ffff, 0, 0], ALLOW);
    check(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE as u64, 0, 0], errno(libc::EPERM));

    let socket = |family: i32, kind: i32, protocol: i32, wanted| {
        check(libc::SYS_socket, [family as u64, (kind | libc::SOCK_CLOEXEC) as u64, protocol as u64], wanted)
    };
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        socket(family, libc::SOCK_STREAM, 0, ALLOW);
        socket(family, libc::SOCK_RAW, 0, errno(libc::EPERM));
    }
    socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP, ALLOW);
    socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP, ALLOW);
    socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP, errno(libc::EAFNOSUPPORT));
    socket(libc::AF_INET, SOCK_PACKET, 0, errno(libc::EPERM));
    socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE, ALLOW);
    socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER, errno(libc::EAFNOSUPPORT));
    for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_XDP, libc::AF_BLUETOOTH, libc::AF_KEY] {
        socket(family, libc::SOCK_DGRAM, 0, errno(libc::EAFNOSUPPORT));
    }
    check(libc::SYS_setsockopt, [3, libc::IPPROTO_TCP as u64, libc::TCP_NODELAY as u64], ALLOW);
    check(libc::SYS_setsockopt, [3, libc::IPPROTO_TCP as u64, TCP_ULP], errno(libc::EPERM));
    // To read it is one thing, to change it another.
    check(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_CORE), 0], ALLOW);
    check(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_CORE), 1 << 40], errno(0));
    check(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_NOFILE), 1 << 40], ALLOW);
    check(libc::SYS_setrlimit, [u64::from(libc::RLIMIT_CORE), 0, 0], errno(0));
    check(libc::SYS_setrlimit, [u64::from(libc::RLIMIT_NOFILE), 0, 0], ALLOW);
    check(libc::SYS_socketpair, [libc::AF_UNIX as u64, 1, 0], ALLOW);
    check(libc::SYS_socketpair, [libc::AF_TIPC as u64, 1, 0], errno(libc::EAFNOSUPPORT));
    let strict = judge(Profile::Any, Isolation::Strict, libc::SYS_socket, [libc::AF_NETLINK as u64, libc::SOCK_RAW as u64, 0]);
    assert_eq!(strict, errno(libc::EAFNOSUPPORT));
}

#[test]
fn another_architecture_kills() {
    let program = program(Profile::Any, Isolation::Standard).unwrap();
    let i386 = 0x4000_0003;
    assert_eq!(run(&program, i386, 20, [0; 6]), KILL);
    #[cfg(target_arch = "x86_64")]
    assert_eq!(run(&program, HERE, 0x4000_0000 | libc::SYS_getpid as u32, [0; 6]), KILL);
}

#[test]
fn the_program_stays_small() {
    let length = program(Profile::Any, Isolation::Strict).unwrap().len();
    assert!(length < 800, "{length} instructions");
}
