//! Tables: a rule, an aim, and what comes of it.

use super::*;

fn rules(text: &str) -> Egress {
    match text {
        "none" => Egress::None,
        "public" => Egress::Public,
        rules => Egress::Rules(rules.split_whitespace().map(|rule| rule.parse().unwrap()).collect()),
    }
}

/// `aim` is `name=address:port`, or an address and a port; a final `!` marks an address of this host.
fn judged(egress: &str, aim: &str) -> Result<(), String> {
    let (aim, here) = aim.strip_suffix('!').map_or((aim, false), |aim| (aim, true));
    let (name, socket) = aim.split_once('=').map_or((None, aim), |(name, socket)| (Some(name), socket));
    let socket: std::net::SocketAddr = socket.parse().unwrap();
    judge(&rules(egress), Aim { name, port: socket.port() }, Found { address: socket.ip(), here })
}

fn allowed(egress: &str, aims: &[&str]) {
    for aim in aims {
        assert_eq!(judged(egress, aim), Ok(()), "{egress} → {aim}");
    }
}

fn denied(egress: &str, aims: &[&str]) {
    for aim in aims {
        assert!(judged(egress, aim).is_err(), "{egress} → {aim}");
    }
}

#[test]
fn none_is_none() {
    denied("none", &["93.184.216.34:443", "a.example=93.184.216.34:443", "127.0.0.1:80", "[::1]:1"]);
}

#[test]
fn public_is_every_public_address_and_no_other() {
    allowed("public", &["93.184.216.34:443", "a.example=93.184.216.34:25", "a.example=[2606:2800::1]:443", "[64:ff9b::101:101]:1"]);
    denied("public", &["127.0.0.1:80", "169.254.169.254:80", "10.0.0.1:80", "100.100.100.200:80", "198.18.0.1:80", "255.255.255.255:80"]);
    // Rebinding: a name of the public internet that stands for something inside.
    denied("public", &["a.example=127.0.0.1:80", "a.example=[::1]:80", "a.example=[::ffff:127.0.0.1]:80", "a.example=10.1.2.3:80"]);
    denied("public", &["[fe80::1]:80", "[fd00::1]:80", "[::ffff:169.254.169.254]:80", "[2002:a9fe:a9fe::1]:80", "[64:ff9b::a9fe:a9fe]:80"]);
    denied("public", &["93.184.216.34:443!", "a.example=93.184.216.34:443!", "[2606:2800::1]:443!"]);
}

#[test]
fn a_name_is_allowed_at_its_port_whatever_it_stands_for_in_public_and_private_networks() {
    let rule = "db.example:5432 api.example:*";
    allowed(rule, &["db.example=93.184.216.34:5432", "db.example=10.1.2.3:5432", "db.example=[fd00::1]:5432", "api.example=1.1.1.1:1"]);
    denied(
        rule,
        &["db.example=93.184.216.34:5433", "x.db.example=93.184.216.34:5432", "xdb.example=93.184.216.34:5432", "93.184.216.34:5432"],
    );
    denied(rule, &["db.example=127.0.0.1:5432", "db.example=169.254.169.254:5432", "db.example=0.0.0.0:5432", "db.example=[::1]:5432"]);
    denied(rule, &["db.example=10.1.2.3:5432!", "api.example=1.1.1.1:1!"]);
}

#[test]
fn a_pattern_is_for_public_addresses_alone() {
    let rule = "*.example.com:443";
    allowed(rule, &["a.example.com=93.184.216.34:443", "b.a.example.com=93.184.216.34:443"]);
    denied(rule, &["example.com=93.184.216.34:443", ".example.com=93.184.216.34:443", "aexample.com=93.184.216.34:443"]);
    denied(rule, &["a.example.com=10.0.0.1:443", "a.example.com=127.0.0.1:443", "a.example.com=93.184.216.34:80"]);
    // Both together reach what neither does.
    allowed("*.example.com:443 10.0.0.0/8:443", &["a.example.com=10.0.0.1:443"]);
}

#[test]
fn a_network_reaches_what_is_not_public_only_if_it_lies_within_it() {
    allowed("10.1.0.0/16:5432", &["10.1.2.3:5432", "any.name=10.1.2.3:5432"]);
    denied("10.1.0.0/16:5432", &["10.2.0.1:5432", "10.1.2.3:80", "10.1.2.3:5432!"]);
    allowed("0.0.0.0/0:443", &["93.184.216.34:443"]);
    denied("0.0.0.0/0:443", &["10.0.0.1:443", "127.0.0.1:443", "169.254.169.254:443", "93.184.216.34:443!"]);
    denied("8.0.0.0/5:443", &["10.0.0.1:443"]);
    allowed("8.0.0.0/5:443", &["9.9.9.9:443", "11.0.0.1:443"]);
    allowed("169.254.169.254:80", &["169.254.169.254:80"]);
    allowed("127.0.0.1:8080 127.0.0.0/8:1", &["127.0.0.1:8080!", "127.0.0.9:1!", "localhost.example=127.0.0.1:8080!"]);
    denied("127.0.0.1:8080", &["127.0.0.2:8080!", "127.0.0.1:8081!"]);
    allowed("10.0.0.5:22 93.184.216.34:80", &["10.0.0.5:22!", "93.184.216.34:80!"]);
    allowed("[fd00::/8]:443 [::1]:1", &["[fd12::1]:443", "[::1]:1!"]);
    denied("[::/0]:443", &["[fd12::1]:443", "[::1]:443!", "[fe80::1]:443"]);
    allowed("[::/0]:443", &["[2606:2800::1]:443"]);
}

#[test]
fn the_hosts_loopback_has_a_name_that_must_be_listed() {
    allowed("host.mote:5432", &["host.mote=127.0.0.1:5432!"]);
    allowed("127.0.0.1:5432", &["host.mote=127.0.0.1:5432!"]);
    denied("host.mote:5432", &["host.mote=127.0.0.1:80!", "a.example=127.0.0.1:5432!", "127.0.0.1:5432!"]);
    for egress in ["none", "public", "*.mote:5432", "0.0.0.0/0:*"] {
        denied(egress, &["host.mote=127.0.0.1:5432!"]);
    }
}

#[test]
fn a_denial_says_which_rule_decided() {
    let check = |egress: &str, aim: &str, expect: &str| assert_eq!(judged(egress, aim).unwrap_err(), expect);
    check("none", "1.1.1.1:1", "`egress` is \"none\"");
    check("public", "a.example=10.0.0.1:80", "`egress` is \"public\", and 10.0.0.1 is private");
    check("public", "1.1.1.1:80!", "`egress` is \"public\", and 1.1.1.1 is this host itself");
    check("b.example:1 *.example:80", "a.example=10.0.0.1:80", "the rule *.example:80 does not reach 10.0.0.1, which is private");
    check("b.example:1", "a.example=1.1.1.1:80", "no rule of `egress` allows it");
}

#[test]
fn names_are_looked_up_only_where_a_rule_has_them() {
    let check = |egress: &str, name: &str, expect: bool| assert_eq!(may_look_up(&rules(egress), name).is_ok(), expect, "{egress} {name}");
    check("none", "a.example", false);
    check("public", "a.example", true);
    check("a.example:1", "a.example", true);
    check("a.example:1", "b.example", false);
    check("*.example:1", "b.example", true);
    check("*.example:1", "example", false);
    check("127.0.0.1:80", "host.mote", true);
    check("10.0.0.0/8:80", "host.mote", false);
    // Else a question would be a way out for whatever a function wants to tell.
    check("0.0.0.0/0:443", "a.example", false);
}
