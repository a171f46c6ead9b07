//! A binary that becomes a jail as if on a kernel that is built without nf_tables: a socket to the
//! packet filter is of a protocol that there is not. The rest of the host is as it is.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};

fn main() {
    seccompiler::apply_filter(&without_packet_filter()).expect("a process may refuse itself a call");
    mote_engine_process::jail_main();
}

fn without_packet_filter() -> BpfProgram {
    let is = |argument, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value as u64).expect("a condition")
    };
    let rule = SeccompRule::new(vec![is(0, libc::AF_NETLINK), is(2, libc::NETLINK_NETFILTER)]).expect("a rule");
    let lacks = SeccompAction::Errno(libc::EPROTONOSUPPORT as u32);
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that has filters");
    let rules = BTreeMap::from([(libc::SYS_socket, vec![rule])]);
    SeccompFilter::new(rules, SeccompAction::Allow, lacks, arch).and_then(BpfProgram::try_from).expect("a program")
}
