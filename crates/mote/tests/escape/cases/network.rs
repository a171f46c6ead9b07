//! Attacks over the network: out of the jail, back into the host, and at mote's own side of it.
//!
//! What counts is what arrives: a connection that is carried nowhere may well be accepted first. So
//! each attempt wants an answer, and the hosts at the end of the cable tell what came by.

use std::io::Write;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Attack, attacks};
use crate::ground::{Attacker, Case, Ground, refused};
use crate::harness::until;

pub(super) const ATTACKS: &[Attack] = attacks![
    egress_none,
    egress_public,
    egress_by_rules,
    loopback_of_the_host,
    addresses_in_other_forms,
    dns_rebinding,
    dns_as_a_way_out,
    dns_flood,
    slow_requests_to_the_platform,
    ten_thousand_connections,
    siblings_by_name,
    one_port_for_two,
    requests_by_pip,
];

const REACH: &str = include_str!("../attacks/reach.py");

/// What became of each `tcp/HOST/PORT`.
fn reach(attacker: &Attacker<'_>, targets: &[&str]) -> Value {
    attacker.with(&json!({ "how": "run", "what": targets.join(" ") })).is(200).json()
}

fn answered(found: &Value, target: &str, text: &str) {
    assert!(found[target].as_str().is_some_and(|outcome| outcome.starts_with("done") && outcome.contains(text)), "{target} of {found:#}");
}

/// Nothing leaves, whatever it is called.
fn egress_none(case: &Case<'_>) {
    let attacker = case.attacker("egress = \"none\"", REACH);
    refused(&reach(&attacker, &["tcp/93.184.216.34/80", "tcp/allowed.test/80", "udp/93.184.216.34/7", "tcp/[2001:db8::1]/80"]));
    attacker.logs("egress");
}

/// The internet, and nothing that only this host or its network can reach.
fn egress_public(case: &Case<'_>) {
    let attacker = case.attacker("egress = \"public\"\ntimeout = \"60s\"", REACH);
    let found = reach(&attacker, &["tcp/93.184.216.34/80", "tcp/allowed.test/80", "tcp/93.184.216.34/7"]);
    answered(&found, "tcp/93.184.216.34/80", "this is 93.184.216.34");
    answered(&found, "tcp/allowed.test/80", "this is 93.184.216.34");
    let names = ["private", "metadata", "loopback", "mapped"].map(|name| format!("tcp/{name}.test/80"));
    let numbers = [
        "169.254.169.254",
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "198.51.100.2",
        "198.51.100.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
    ]
    .map(|address| format!("tcp/{address}/80"));
    let targets: Vec<&str> = names.iter().chain(&numbers).map(String::as_str).collect();
    refused(&reach(&attacker, &targets));
    for place in ["169.254.169.254", "private.test", "metadata.test"] {
        attacker.logs(place);
    }
    // Of several addresses of a name, the forbidden ones are not tried.
    reach(&attacker, &["tcp/mixed.test/80"; 1]);
}

/// These and no others; a listed private address is reached, as it is listed.
fn egress_by_rules(case: &Case<'_>) {
    let attacker = case.attacker("egress = [\"allowed.test:80\", \"*.allowed.test:80\", \"10.0.0.5:80\"]\ntimeout = \"60s\"", REACH);
    let found = reach(&attacker, &["tcp/allowed.test/80", "tcp/also.allowed.test/80", "tcp/10.0.0.5/80"]);
    answered(&found, "tcp/allowed.test/80", "this is 93.184.216.34");
    answered(&found, "tcp/also.allowed.test/80", "this is 93.184.216.36");
    answered(&found, "tcp/10.0.0.5/80", "this is 10.0.0.5");
    refused(&reach(
        &attacker,
        &[
            "tcp/forbidden.test/80",
            "tcp/allowed.test/443",
            "tcp/93.184.216.35/80",
            "tcp/10.0.0.6/80",
            "tcp/10.0.0.5/443",
            "tcp/127.0.0.1/8081",
            "tcp/not-allowed.test/80",
        ],
    ));
    attacker.logs("forbidden.test");
    attacker.logs("10.0.0.6");
}

/// A service of the host that answers whoever comes, at every address that it has.
fn service(ground: &Ground) -> u16 {
    let listener = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0))).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let came = ground.place.root.join(format!("came-{port}"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::fs::write(&came, "somebody");
            let _ = stream.write_all(b"this is the host itself\n");
        }
    });
    port
}

/// The host's loopback, its own address, and mote's three doors.
fn loopback_of_the_host(case: &Case<'_>) {
    let port = service(case.ground);
    let doors = ["public", "control"].map(|door| case.ground.door(door).rsplit(':').next().unwrap_or_default().to_owned());
    let mut targets = Vec::new();
    for port in [port.to_string()].iter().chain(&doors) {
        for address in
            ["127.0.0.1", "127.0.0.53", "0.0.0.0", "198.51.100.2", "localhost", "loopback.test", "[::1]", "[::]", "[2001:db8::2]"]
        {
            targets.push(format!("tcp/{address}/{port}"));
        }
    }
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    for egress in ["\"public\"", "[\"*.test:*\", \"localhost:*\"]"] {
        let name = format!("loopback_{}", usize::from(egress.starts_with('[')));
        let attacker = case.another(&name, &format!("egress = {egress}\ntimeout = \"60s\""), REACH);
        refused(&reach(&attacker, &targets));
    }
    assert!(!case.ground.place.root.join(format!("came-{port}")).exists(), "somebody reached a service of the host");
}

/// IPv4 addresses dressed as IPv6, as numbers, and with leading zeros.
fn addresses_in_other_forms(case: &Case<'_>) {
    let port = service(case.ground);
    let hosts = [
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::ffff:169.254.169.254]",
        "[::ffff:10.0.0.5]",
        "[64:ff9b::10.0.0.5]",
        "[fd00::1]",
        "[fe80::1]",
        "[ff02::1]",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "0",
    ];
    let targets: Vec<String> = hosts.iter().flat_map(|host| [format!("tcp/{host}/{port}"), format!("tcp/{host}/80")]).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    refused(&reach(&case.attacker("timeout = \"90s\"", REACH), &targets));
    assert!(!case.ground.place.root.join(format!("came-{port}")).exists(), "somebody reached a service of the host");
}

/// A name that was public when it was judged, and is the loopback when it is used.
fn dns_rebinding(case: &Case<'_>) {
    let port = service(case.ground);
    for (number, egress) in ["\"public\"", "[\"rebind.test:*\"]"].iter().enumerate() {
        let attacker = case.another(&format!("rebinding_{number}"), &format!("egress = {egress}\ntimeout = \"60s\""), REACH);
        for _ in 0..3 {
            let what = json!({ "how": "again", "what": format!("rebind.test {port} 4") });
            let found = attacker.with(&what).is(200).json();
            refused(&found);
        }
    }
    assert!(!case.ground.place.root.join(format!("came-{port}")).exists(), "the name led to the host");
}

/// A question for a name is a message to whoever answers for it.
fn dns_as_a_way_out(case: &Case<'_>) {
    let silent = case.attacker("egress = \"none\"", REACH);
    refused(&reach(&silent, &["tcp/none.exfiltrated.test/80", "name/none.exfiltrated.test/0"]));
    let ruled = case.another("dns_by_rules", "egress = [\"allowed.test:80\"]", REACH);
    refused(&reach(&ruled, &["tcp/rules.exfiltrated.test/80", "name/rules.exfiltrated.test/0"]));
    let asked = case.ground.outside.seen();
    assert!(!asked.iter().any(|seen| seen.contains("exfiltrated")), "{asked:?}");
}

fn dns_flood(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"30s\"", include_str!("../attacks/dns_flood.py"));
    attacker.attack();
    let found = reach(&case.another("after_the_flood", "", REACH), &["tcp/allowed.test/80"]);
    answered(&found, "tcp/allowed.test/80", "this is");
}

/// Heads that never end, at the platform's address in the jail.
fn slow_requests_to_the_platform(case: &Case<'_>) {
    let attacker = case.attacker("open_files = 2000\ntimeout = \"30s\"", include_str!("../attacks/connections.py"));
    attacker.call("slowly").is(200);
    platform_answers(case);
}

fn ten_thousand_connections(case: &Case<'_>) {
    let attacker = case.attacker("open_files = 20000\nmemory = \"1GiB\"\ntimeout = \"60s\"", include_str!("../attacks/connections.py"));
    attacker.call("many");
    platform_answers(case);
}

/// Another function is served at its own platform address meanwhile.
fn platform_answers(case: &Case<'_>) {
    let other = case.another(&format!("{}_other", case.name), "", include_str!("../attacks/connections.py"));
    let answer = other.call("once").is(200).text();
    assert!(answer.starts_with("HTTP/1."), "{answer}");
}

/// Functions call each other by name; nobody else's names lead anywhere.
fn siblings_by_name(case: &Case<'_>) {
    case.another("sibling-a", "", "def run():\n    return 'a is here'\n").call("rest").is(200);
    let caller = case.attacker("egress = \"none\"", REACH);
    let found = reach(&caller, &["tcp/sibling-a/80", "tcp/sibling-b/80", "tcp/sibling-a/81"]);
    answered(&found, "tcp/sibling-a/80", "HTTP/1.0 200");
    refused(&json!({ "b": found["tcp/sibling-b/80"], "port": found["tcp/sibling-a/81"] }));
}

/// Two functions listen on the same port at the same time, and neither hears the other.
fn one_port_for_two(case: &Case<'_>) {
    let attack = include_str!("../attacks/one_port_for_two.py");
    let (one, two) = (case.another("port_one", "", attack), case.another("port_two", "", attack));
    std::thread::scope(|scope| {
        for (own, reply) in [
            (&one, scope.spawn(|| one.with(&json!({ "how": "listen", "what": "port_one" })))),
            (&two, scope.spawn(|| two.with(&json!({ "how": "listen", "what": "port_two" })))),
        ] {
            let reply = reply.join().expect("a call").is(200).text();
            assert_eq!(reply, format!("heard {} alone", own.name));
        }
    });
    // And as the servers that they are: mote connects to the right one of the two.
    for name in ["server_one", "server_two"] {
        let server = include_str!("../attacks/one_port_server.py");
        let manifest = format!("name = \"{name}\"\nentry = \"server.py\"\nport = 3837\nenv = {{ WHO = \"{name}\" }}\n");
        case.program(name, &[("server.py", server), ("mote.toml", &manifest)]).ok();
    }
    for name in ["server_one", "server_two", "server_one"] {
        assert_eq!(case.ground.post(&format!("/{name}"), &json!({})).is(200).text(), format!("this is {name}"));
    }
}

/// A library as everybody installs it: mote's pip fetches it, and it reaches what is allowed.
fn requests_by_pip(case: &Case<'_>) {
    let code = include_str!("../attacks/requests_by_pip.py");
    let manifest = "name = \"requests_by_pip\"\negress = [\"allowed.test:80\"]\ntimeout = \"30s\"\n";
    case.program("requests_by_pip", &[("requests_by_pip.py", code), ("requirements.txt", "requests\n"), ("mote.toml", manifest)]).ok();
    let get = |url: &str| case.ground.post("/requests_by_pip", &json!({ "url": url })).is(200).json();
    assert_eq!(get("http://allowed.test/"), json!({ "status": 200, "text": "this is 93.184.216.34, asked as allowed.test\n" }));
    assert!(get("http://forbidden.test/")["refused"].is_string());
    until("the denial is logged", || case.ground.log("requests_by_pip").contains("forbidden.test"));
}

/// After all cases of a pass: who got a packet, at any time, for any reason.
pub(super) fn nothing_went_astray(ground: &Ground) {
    // By name or by number, with whatever port the attacker chose; and the one that a rule names.
    const PUBLIC: &[&str] = &["tcp 93.184.216.34:", "tcp 93.184.216.36:"];
    const KNOWN: &[&str] = &["tcp 10.0.0.5:80", "udp 198.51.100.1:53", "tcp 198.51.100.1:53"];
    let astray: Vec<String> = ground
        .outside
        .seen()
        .into_iter()
        .filter(|seen| {
            !PUBLIC.iter().any(|public| seen.starts_with(public)) && !KNOWN.contains(&seen.as_str()) && !seen.starts_with("name ")
        })
        .collect();
    assert!(astray.is_empty(), "packets left for {astray:#?}");
}
