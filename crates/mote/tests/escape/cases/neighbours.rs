//! Attacks on others: who shares the host, the instance's own init, and mote itself.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::{Attack, attacks};
use crate::ground::{Case, refused};

pub(super) const ATTACKS: &[Attack] = attacks![
    tracing_and_reading_memory,
    proc_of_others,
    signals_to_others,
    abstract_sockets_of_the_host,
    shared_memory_of_the_host,
    inherited_descriptors,
    secrets_of_others,
    state_of_the_call_before,
];

/// ptrace, process_vm_readv, pidfd_getfd, /proc/PID/mem of init and of made-up neighbours.
fn tracing_and_reading_memory(case: &Case<'_>) {
    refused(&case.attacker("", include_str!("../attacks/tracing_and_reading_memory.py")).found());
}

/// /proc of init, of the server by its pid outside, /proc/sys, sysrq, /sys and mote's own binary.
fn proc_of_others(case: &Case<'_>) {
    let attacker = case.attacker("", include_str!("../attacks/proc_of_others.py"));
    let server = case.ground.server.to_string();
    let reply = attacker.with(&serde_json::json!({ "how": "run", "what": server })).is(200);
    refused(&reply.json());
}

/// To init, to everybody, and to every number a process outside might have.
fn signals_to_others(case: &Case<'_>) {
    let attacker = case.attacker("", include_str!("../attacks/signals_to_others.py"));
    refused(&attacker.with(&serde_json::json!({ "how": "run", "what": case.ground.server.to_string() })).is(200).json());
    // Whatever this one does to its own instance, the neighbour asks after it.
    attacker.call("everybody");
}

fn abstract_sockets_of_the_host(case: &Case<'_>) {
    let name = format!("mote-escape-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let (socket, on_disk) = (UnixListener::bind_addr(&address).expect("a free name"), case.ground.place.root.join("host.sock"));
    let _ = std::fs::remove_file(&on_disk);
    let file = UnixListener::bind(&on_disk).expect("a free path");
    let services = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    for listener in [&socket, &file] {
        listener.set_nonblocking(true).expect("a socket can be told not to wait");
    }
    services.set_nonblocking(true).expect("a socket can be told not to wait");
    let attacker = case.attacker("", include_str!("../attacks/abstract_sockets_of_the_host.py"));
    let what = format!("{name} {} {}", on_disk.display(), services.local_addr().expect("it is bound").port());
    refused(&attacker.with(&serde_json::json!({ "how": "run", "what": what })).is(200).json());
    assert!(socket.accept().is_err() && file.accept().is_err() && services.accept().is_err(), "a service of the host was reached");
}

/// System V and POSIX shared memory and queues that outlive a process and have a name.
fn shared_memory_of_the_host(case: &Case<'_>) {
    let writer = case.attacker("", include_str!("../attacks/shared_memory.py"));
    assert_eq!(writer.call("write").is(200).text(), "written");
    let reader = case.another("shared_memory_reader", "", include_str!("../attacks/shared_memory.py"));
    refused(&reader.call("read").is(200).json());
}

/// Descriptors 3 to 1,023: the wire of the runner and what the interpreter opened, and nothing of mote's.
fn inherited_descriptors(case: &Case<'_>) {
    let found = case.attacker("", include_str!("../attacks/inherited_descriptors.py")).found();
    let open = found["open"].as_object().expect("what is open");
    for (number, target) in open {
        let target = target.as_str().expect("a link");
        let own = target.starts_with("socket:") || target.starts_with("anon_inode:[event") || target.starts_with("pipe:");
        assert!(own && number.parse::<u32>().is_ok_and(|number| number > 2), "{number} is {target} in {found:#}");
    }
    refused(&found["tried"]);
}

/// The environment, code and secrets of another function, by every path there might be.
fn secrets_of_others(case: &Case<'_>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for name in ["secret", "file"] {
        std::fs::write(file.path(), format!("the-victims-own-{name}")).expect("the value is written");
        case.ground.open_to_all(file.path());
        case.ground.run(&["secret", "set", &format!("victims-{name}"), "--file", &file.path().to_string_lossy()]).ok();
    }
    let given =
        "[env]\nPRECIOUS = \"the-victims-own-words\"\n[secrets]\nSECRET = \"victims-secret\"\n[secret_files]\nfile = \"victims-file\"\n";
    let victim = case.another("victim", given, "def run():\n    return \"mine: the-victims-own-code\"\n");
    victim.call("rest").is(200);
    let attacker = case.attacker("memory = \"1GiB\"\ntimeout = \"60s\"", include_str!("../attacks/secrets_of_others.py"));
    let reply = attacker.attack();
    assert_eq!(reply.status, 200, "{reply:?} {}", attacker.log());
    assert_eq!(reply.json()["found"], serde_json::json!([]), "{reply:?}");
    assert!(reply.json()["searched"].as_u64().is_some_and(|searched| searched > 10), "{reply:?}");
}

/// An attacker keeps what was in its own instance: another version and another function get a new one.
fn state_of_the_call_before(case: &Case<'_>) {
    let attacker = case.attacker("", include_str!("../attacks/state_of_the_call_before.py"));
    attacker.call("poison").is(200);
    let other = case.another("state_of_another", "", include_str!("../attacks/state_of_the_call_before.py"));
    assert_eq!(other.call("look").is(200).text(), "clean", "a function was started in a poisoned runner");
}
