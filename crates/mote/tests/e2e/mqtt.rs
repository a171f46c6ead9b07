//! Devices at the real server: what was acknowledged survives a kill, many are cheap, hostile ones get nothing.
//!
//! Real clients in both versions: `tests/mqtt`.

#[path = "mqtt/device.rs"]
mod device;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::device::{Device, Said};
use crate::harness::{Server, connect, folder, mote, until};

const WITNESS: &str = "def witness(event, context):\n    context.bucket('seen').put(event['data'].decode(), event['subject'].encode())\n";
const MANIFEST: &str = "name = 'witness'\nentry = 'witness.py'\ninstances_max = 2\n\n[[mqtt]]\nfilter = 'flood/+'\nqos = 1\n";
const MESSAGES: u16 = 600;
const KILLS: u16 = 3;
/// Sent ahead of their acknowledgements.
const AHEAD: u16 = 48;
/// Functions that lead to one another, with the first.
const DEPTH_MAX: usize = 16;

impl Server {
    fn token(&self) -> String {
        self.ready["token"].as_str().unwrap().to_owned()
    }

    fn seen(&self) -> BTreeSet<String> {
        let found = self.control("GET", "/v1/buckets/seen/objects", b"").is(200).json();
        found["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap().to_owned()).collect()
    }
}

/// Publishes from `next` on until so many were acknowledged in all; says which were now.
fn flood(server: &Server, next: &mut u16, enough: u16) -> BTreeSet<u16> {
    let mut device = Device::returning(server.address("mqtt"), "flooder", &server.token());
    let (mut flying, mut acknowledged) = (0, BTreeSet::new());
    while acknowledged.len() < usize::from(enough) {
        while flying < AHEAD && *next <= MESSAGES {
            device.publish("flood/a", format!("m{next}").as_bytes(), *next).unwrap();
            (*next, flying) = (*next + 1, flying + 1);
        }
        match device.hear() {
            Some(Said::PubAck(id)) => {
                flying -= 1;
                acknowledged.insert(id);
            }
            other => panic!("{other:?}"),
        }
    }
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_kills_and_reaches_function_and_session() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    server.mote(&["bucket", "create", "seen"]).ok();
    server.deploy_path(folder(&[("witness.py", WITNESS), ("mote.toml", MANIFEST)]).path());
    // A subscriber with a session, who goes away at once.
    Device::returning(server.address("mqtt"), "archive", &server.token()).subscribe("flood/#", 1);

    let (mut next, mut acknowledged) = (1, BTreeSet::new());
    for round in 1..=KILLS {
        let left = MESSAGES - next + 1;
        acknowledged.extend(flood(&server, &mut next, (left / 3).max(1)));
        // Some that were sent are not acknowledged, and never sent again: those alone may be lost.
        server.signal("KILL");
        server.ended();
        server = Server::start_on(data.path());
        println!("kill {round}: {} acknowledged of {} sent", acknowledged.len(), next - 1);
    }
    let expect: BTreeSet<String> = acknowledged.iter().map(|id| format!("m{id}")).collect();
    assert!(expect.len() > 200, "only {} were acknowledged", expect.len());

    until("every acknowledged message has run", || expect.is_subset(&server.seen()));

    let mut archive = Device::returning(server.address("mqtt"), "archive", &server.token());
    let mut delivered = BTreeSet::new();
    while !expect.is_subset(&delivered) {
        let Some(Said::Publish { qos: 1, id, payload, .. }) = archive.hear() else {
            panic!("{:?} are missing", expect.difference(&delivered))
        };
        delivered.insert(String::from_utf8(payload).unwrap());
        archive.acknowledge(id).unwrap();
    }
}

#[test]
fn messages_in_flight_at_a_kill_come_again() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    let mut reader = Device::returning(server.address("mqtt"), "reader", &server.token());
    reader.subscribe("t", 1);
    let mut writer = Device::fresh(server.address("mqtt"), "writer", &server.token());
    writer.publish("t", b"once", 1).unwrap();
    assert_eq!(writer.hear(), Some(Said::PubAck(1)));
    assert!(matches!(reader.hear(), Some(Said::Publish { .. })));
    server.signal("KILL");
    server.ended();
    server = Server::start_on(data.path());
    // Leased by the server that is gone, so not at once.
    let mut reader = Device::returning(server.address("mqtt"), "reader", &server.token());
    let Some(Said::Publish { id, payload, .. }) = reader.hear() else { panic!("the message is lost") };
    assert_eq!(payload, b"once");
    reader.acknowledge(id).unwrap();
    until("it is done with", || server.control("GET", "/v1/mqtt", b"").is(200).json()["waiting"] == 0);
}

const DEVICES: usize = 2000;

/// Each has a file descriptor here, and one at the server, which inherits the limit.
fn room_for_devices() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

#[test]
fn a_kill_amid_two_thousand_devices_loses_nothing_acknowledged() {
    /// Of each device, all sent at once.
    const EACH: usize = 3;
    room_for_devices();
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    Device::returning(server.address("mqtt"), "archive", &server.token()).subscribe("flood/#", 1);
    let token = server.token();
    let mut devices: Vec<Device> = (0..DEVICES).map(|n| Device::fresh(server.address("mqtt"), &format!("d{n}"), &token)).collect();
    let mut acknowledged = BTreeSet::new();
    let half = DEVICES / 2;
    for those in [0..half, half..DEVICES] {
        for n in those.clone() {
            for id in 1..=EACH {
                devices[n].publish(&format!("flood/{n}"), format!("{n} {id}").as_bytes(), id as u16).unwrap();
            }
        }
        for n in those {
            for _ in 1..=EACH {
                let Some(Said::PubAck(id)) = devices[n].hear() else { break };
                acknowledged.insert(format!("{n} {id}"));
                // It has begun with what the second half sent.
                if acknowledged.len() == half * EACH + 1 {
                    server.signal("KILL");
                }
            }
        }
    }
    server.ended();
    println!("{} of {} acknowledged", acknowledged.len(), DEVICES * EACH);
    assert!(acknowledged.len() >= half * EACH, "only {} were acknowledged", acknowledged.len());

    server = Server::start_on(data.path());
    let mut archive = Device::returning(server.address("mqtt"), "archive", &server.token());
    let mut delivered = BTreeSet::new();
    while !acknowledged.is_subset(&delivered) {
        let Some(Said::Publish { id, payload, .. }) = archive.hear() else {
            panic!("{} are missing", acknowledged.difference(&delivered).count())
        };
        delivered.insert(String::from_utf8(payload).unwrap());
        archive.acknowledge(id).unwrap();
    }
}

#[test]
fn two_thousand_devices_are_cheap_and_all_heard() {
    room_for_devices();
    let server = Server::start();
    let token = server.token();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
        line.trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let before = resident();
    let begun = Instant::now();
    let mut devices: Vec<Device> = (0..DEVICES)
        .map(|n| {
            let mut device = Device::fresh(server.address("mqtt"), &format!("d{n}"), &token);
            device.subscribe(&format!("to/{n}"), 0);
            device
        })
        .collect();
    let connected = begun.elapsed();
    let each = (resident() - before) * 1024 / DEVICES;
    let begun = Instant::now();
    let mut sender = Device::fresh(server.address("mqtt"), "sender", &token);
    for n in 0..DEVICES {
        sender.send(0x30, &[&[0, format!("to/{n}").len() as u8][..], format!("to/{n}").as_bytes(), b"hi"].concat()).unwrap();
    }
    for (n, device) in devices.iter_mut().enumerate() {
        assert_eq!(device.hear(), Some(Said::Publish { qos: 0, id: 0, topic: format!("to/{n}"), payload: b"hi".to_vec() }));
    }
    println!("{DEVICES} devices in {connected:?}, {each} bytes each; a message to each in {:?}", begun.elapsed());
    assert!(each < 16 << 10, "{each} bytes for each device");
    assert_eq!(server.control("GET", "/v1/mqtt", b"").is(200).json()["connections"], DEVICES + 1);
}

#[test]
fn a_circle_of_messages_ends() {
    const ECHO: &str = "\
import urllib.request
def echo(event, context):
    context.bucket('seen').put(event['id'], b'')
    urllib.request.urlopen('http://events.mote/mqtt?topic=loop&qos=1', data=b'again').close()
";
    let server = Server::start();
    server.mote(&["bucket", "create", "seen"]).ok();
    let manifest = "name = 'echo'\nentry = 'echo.py'\n[[mqtt]]\nfilter = 'loop'\n[async]\nattempts = 1\n";
    server.deploy_path(folder(&[("echo.py", ECHO), ("mote.toml", manifest)]).path());
    server.mote(&["mqtt", "publish", "loop", "--data", "once"]).ok();
    // The last of them is refused, and its call a dead letter that says why.
    until("the circle ends", || !server.mote(&["dlq", "list", "--json"]).ok().lines().is_empty());
    let dead = server.mote(&["dlq", "list", "--json"]).ok().stdout;
    assert!(dead.contains("function-failed"), "{dead}");
    assert_eq!(server.seen().len(), DEPTH_MAX, "{dead}");
}

#[test]
fn a_bridge_carries_both_ways_and_loses_nothing_while_it_is_down() {
    let there = tempfile::tempdir().unwrap();
    let mut other = Server::start_on(there.path());
    // The same port when it comes again, for the bridge has one URL.
    let address = other.address("mqtt").to_owned();
    let url = format!("mqtt://default:{}@{address}/default?in=in/%23&out=out/%23", other.token());
    let here = tempfile::tempdir().unwrap();
    let mut serve = mote();
    serve.arg("serve").arg("--data").arg(here.path()).arg("--json").args(["--mqtt-bridge", &url]);
    for door in ["--public", "--control", "--aws", "--mqtt"] {
        serve.args([door, "127.0.0.1:0"]);
    }
    let server = Server::of(serve, here.path());
    until("the bridge is there", || other.control("GET", "/v1/mqtt", b"").is(200).json()["subscriptions"] == 1);

    let mut reader = Device::fresh(server.address("mqtt"), "reader", &server.token());
    reader.subscribe("in/#", 1);
    let mut far = Device::fresh(&address, "far", &other.token());
    far.subscribe("out/#", 1);
    far.publish("in/a", b"from there", 1).unwrap();
    assert_eq!(far.hear(), Some(Said::PubAck(1)));
    let Some(Said::Publish { id, topic, payload, .. }) = reader.hear() else { panic!("nothing came in") };
    assert_eq!((topic.as_str(), &payload[..]), ("in/a", &b"from there"[..]));
    reader.acknowledge(id).unwrap();
    reader.publish("out/b", b"from here", 2).unwrap();
    assert_eq!(reader.hear(), Some(Said::PubAck(2)));
    let Some(Said::Publish { topic, payload, .. }) = far.hear() else { panic!("nothing went out") };
    assert_eq!((topic.as_str(), &payload[..]), ("out/b", &b"from here"[..]));

    // Down: what is published meanwhile waits here.
    Device::returning(&address, "keeper", &other.token()).subscribe("out/c", 1);
    other.signal("KILL");
    other.ended();
    for n in 0..20u16 {
        reader.publish("out/c", format!("{n}").as_bytes(), 10 + n).unwrap();
        assert_eq!(reader.hear(), Some(Said::PubAck(10 + n)));
    }
    let mut serve = mote();
    serve.arg("serve").arg("--data").arg(there.path()).arg("--json").args(["--mqtt", &address]);
    for door in ["--public", "--control", "--aws"] {
        serve.args([door, "127.0.0.1:0"]);
    }
    let other = Server::of(serve, there.path());
    let mut keeper = Device::returning(&address, "keeper", &other.token());
    let expect: BTreeSet<String> = (0..20).map(|n| n.to_string()).collect();
    let mut delivered = BTreeSet::new();
    while !expect.is_subset(&delivered) {
        let Some(Said::Publish { id, payload, .. }) = keeper.hear() else { panic!("{:?} are missing", expect.difference(&delivered)) };
        delivered.insert(String::from_utf8(payload).unwrap());
        keeper.acknowledge(id).unwrap();
    }
    until("nothing waits any more", || server.control("GET", "/v1/mqtt", b"").is(200).json()["waiting"] == 0);
}

#[test]
fn a_slow_subscriber_blocks_nobody() {
    let server = Server::start();
    let mut slow = Device::fresh(server.address("mqtt"), "slow", &server.token());
    slow.subscribe("big", 0);
    let mut quick = Device::fresh(server.address("mqtt"), "quick", &server.token());
    quick.subscribe("big", 0);
    let mut writer = Device::fresh(server.address("mqtt"), "writer", &server.token());
    let payload = vec![b'x'; 100_000];
    for id in 1..=200 {
        writer.publish("big", &payload, id).unwrap();
        assert_eq!(writer.hear(), Some(Said::PubAck(id)));
        assert!(matches!(quick.hear(), Some(Said::Publish { .. })), "{id}");
    }
    let status = server.control("GET", "/v1/mqtt", b"").is(200).json();
    assert!(status["dropped"].as_u64().unwrap() > 0, "{status}");
}

#[test]
fn hostile_connections_get_nothing_and_cost_little() {
    let server = Server::start();
    let token = server.token();
    let closes = |bytes: &[u8]| {
        let mut stream = connect(server.address("mqtt"));
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        // Reset or closed, but over.
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    closes(b"GET / HTTP/1.1\r\n\r\n");
    closes(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c");
    closes(b"\x30\x05\x00\x01ahi");
    // No password, and a wrong one: told so.
    assert_eq!(closes(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"), [0x20, 2, 0, 5]);
    assert_eq!(closes(b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01a\x00\x01b\x00\x03bad"), [0x20, 2, 0, 4]);
    // Half a CONNECT, and then nothing.
    let mut silent = connect(server.address("mqtt"));
    silent.write_all(b"\x10\x20\x00\x04MQ").unwrap();
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest);
    assert!(begun.elapsed() < Duration::from_secs(30));
    let ends = |head: u8, body: &[u8]| {
        let mut device = Device::fresh(server.address("mqtt"), "bad", &token);
        device.send(head, body).unwrap();
        assert_eq!(device.hear(), None, "{head:x} {body:?}");
    };
    // Wildcards in a topic, bytes that are no UTF-8, a subscription to nothing, a second CONNECT's head.
    ends(0x30, b"\x00\x03a/#hi");
    ends(0x30, b"\x00\x02\xff\xfehi");
    ends(0x82, b"\x00\x01");
    ends(0x20, b"\x00\x00");
    let mut good = Device::fresh(server.address("mqtt"), "good", &token);
    good.publish("t", b"x", 7).unwrap();
    assert_eq!(good.hear(), Some(Said::PubAck(7)));
}
