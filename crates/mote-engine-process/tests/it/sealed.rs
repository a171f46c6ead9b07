//! A host whose kernel has no nf_tables with tproxy: what runs there, what does not, and who says so.

use mote_core::Code;
use mote_core::egress::Egress;
use mote_core::function::Isolation;
use mote_engine_process::doctor_of;

use crate::house::{House, without_filter};

const REDIRECTS: &str = "connections to elsewhere, all through mote";

/// What is found at an address or a name; nothing leaves the jail, which has loopback alone.
const REACH: &str = "\
import errno, socket

def f():
    def reach(to):
        try:
            socket.create_connection(to, 5).close()
            return 'reached'
        except socket.gaierror:
            return 'no such name'
        except OSError as error:
            return errno.errorcode[error.errno]
    with socket.create_connection(('127.0.0.1', 4566)) as connection:
        platform = connection.makefile().read()
    return ' '.join([reach(('192.0.2.1', 443)), reach(('g', 80)), reach(('example.com', 80)), platform])
";

#[tokio::test]
async fn without_a_way_out_a_function_that_wants_none_has_all_the_rest() {
    let house = House::without_filter();
    for runtime in ["python", "executable"] {
        let function = house.function(runtime, if runtime == "python" { "f.py" } else { "f" }, |f| f.egress = Egress::None);
        let run = format!("#!/usr/bin/env python3\n{REACH}\nprint(f())\n");
        let files = if runtime == "python" { [("f.py", REACH)] } else { [("f", run.as_str())] };
        let (f, prepared) = house.deploy(function, &files).await.unwrap();
        let said = house.call(&f, "", "").await.unwrap();
        assert_eq!(said.trim().trim_matches('"'), "ENETUNREACH no such name no such name hello f", "{runtime}");
        let there = |name: &str| prepared.isolation.iter().any(|barrier| barrier == name);
        assert!(there("network of its own") && there("allowed system calls only") && !there(REDIRECTS), "{:?}", prepared.isolation);
    }
}

#[tokio::test]
async fn without_a_way_out_a_function_that_asks_for_one_is_refused_with_the_reason() {
    let house = House::without_filter();
    for egress in [Egress::Public, Egress::Rules(vec!["example.com:443".parse().unwrap()])] {
        for (runtime, entry, text) in [("python", "f.py", "def f(): return 1\n"), ("executable", "f", "#!/bin/sh\n")] {
            let function = house.function(runtime, entry, |f| f.egress = egress.clone());
            let error = house.deploy(function, &[(entry, text)]).await.map(drop).unwrap_err();
            assert_eq!(error.code(), Code::Unsupported);
            assert!(error.detail().contains("nf_tables with tproxy"), "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("nft_tproxy") && hint.contains("egress = \"none\"")), "{error}");
        }
    }
}

/// One that was deployed when the host still had it.
#[tokio::test]
async fn without_a_way_out_no_function_that_has_one_is_started_with_less() {
    let house = House::without_filter();
    let function = house.function("executable", "f", |f| f.egress = Egress::None);
    let (f, _) = house.deploy(function, &[("f", "#!/bin/sh\necho ran\n")]).await.unwrap();
    let f = std::sync::Arc::new(mote_core::function::Function { egress: Egress::Public, ..(*f).clone() });
    let error = house.call(&f, "", "").await.unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.detail().contains(REDIRECTS), "{error}");
}

#[test]
fn the_doctor_says_what_runs_without_a_way_out() {
    let barriers = doctor_of(&without_filter());
    let (missing, rest): (Vec<_>, Vec<_>) = barriers.iter().partition(|barrier| barrier.name == REDIRECTS);
    assert!(rest.iter().filter(|barrier| barrier.required == Isolation::Standard).all(|barrier| barrier.enforced), "{rest:#?}");
    let [missing] = missing[..] else { panic!("{barriers:#?}") };
    assert!(!missing.enforced && missing.why.contains("nf_tables with tproxy"), "{missing:#?}");
    assert!(missing.instead.as_deref().is_some_and(|instead| instead.contains("egress = \"none\"")), "{missing:#?}");
    assert!(missing.hint.as_deref().is_some_and(|hint| hint.contains("nft_tproxy")), "{missing:#?}");
}
