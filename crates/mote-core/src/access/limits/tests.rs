//! Quotas as callers meet them, without a clock.

use super::*;

fn limits(patch: serde_json::Value) -> (Limits, Name) {
    let (limits, namespace) = (Limits::default(), Name::default_namespace());
    limits.put(namespace.clone(), patched(&Quota::default(), patch.as_object().unwrap().clone()).unwrap());
    (limits, namespace)
}

const NOW: Duration = Duration::from_secs(100);

#[test]
fn a_namespace_has_its_own_rate() {
    let (limits, namespace) = limits(serde_json::json!({ "rate": "1/s" }));
    let ask = |namespace| limits.request(namespace, &Caller::Admin, "", || NOW);
    assert!(ask(&namespace).is_ok());
    let error = ask(&namespace).unwrap_err();
    assert_eq!((error.code(), error.wait()), (Code::Throttled, Some(Duration::from_secs(1))));
    assert!(error.detail().contains("`rate` of the namespace default is 1/s"), "{error}");
    assert!(ask(&Name::new("other").unwrap()).is_ok());
}

#[test]
fn callers_are_told_apart() {
    let (limits, namespace) = limits(serde_json::json!({ "caller_rate": "1/s" }));
    let ask = |peer| limits.request(&namespace, &Caller::Anonymous, peer, || NOW).is_ok();
    assert!(ask("192.0.2.1"));
    assert!(!ask("192.0.2.1"));
    assert!(ask("192.0.2.2"));
    // One network, one caller.
    assert!(ask("2001:db8::1"));
    assert!(!ask("2001:db8::2"));
    assert!(ask("2001:db8:0:1::2"));
}

#[test]
fn the_table_of_callers_is_bounded() {
    let (limits, namespace) = limits(serde_json::json!({ "caller_rate": "1/h" }));
    let ask = |peer: usize, now| limits.request(&namespace, &Caller::Anonymous, &peer.to_string(), || now).is_ok();
    for peer in 0..CALLERS_MAX {
        assert!(ask(peer, NOW));
    }
    assert!(ask(CALLERS_MAX, NOW));
    assert!(!ask(CALLERS_MAX + 1, NOW), "those beyond share one rate");
    let later = NOW + Duration::from_secs(3601);
    assert!(ask(CALLERS_MAX + 2, later));
    assert!(ask(CALLERS_MAX + 3, later), "idle callers were forgotten");
}

#[test]
fn calls_are_counted_until_they_end() {
    let (limits, namespace) = limits(serde_json::json!({ "calls": 2 }));
    let first = limits.begin(&namespace).unwrap();
    let _second = limits.begin(&namespace).unwrap();
    assert_eq!(limits.begin(&namespace).map(drop).unwrap_err().code(), Code::Throttled);
    drop(first);
    assert!(limits.begin(&namespace).is_ok_and(|running| running.is_some()));
    assert_eq!(limits.running(&namespace), 1);
}

#[test]
fn a_patch_changes_what_it_names() {
    let check = |before: &Quota, patch: serde_json::Value| patched(before, patch.as_object().unwrap().clone());
    let quota = check(&Quota::default(), serde_json::json!({ "rate": "5/m", "functions": 3 })).unwrap();
    let quota = check(&quota, serde_json::json!({ "functions": null, "calls": 7 })).unwrap();
    assert_eq!(serde_json::to_value(&quota).unwrap(), serde_json::json!({ "rate": "5/m", "calls": 7 }));
    for bad in [
        serde_json::json!({ "rates": "5/m" }),
        serde_json::json!({ "rate": "many" }),
        serde_json::json!({ "calls": -1 }),
        serde_json::json!({ "caller_burst": 3 }),
        serde_json::json!({ "burst": 0 }),
    ] {
        assert_eq!(check(&quota, bad.clone()).unwrap_err().code(), Code::RequestInvalid, "{bad}");
    }
}

#[test]
fn a_full_queue_is_told_in_the_words_of_its_namespace() {
    let (limits, namespace) = limits(serde_json::json!({ "queued": 3 }));
    assert_eq!(
        limits.queue_room(&namespace),
        Some(Room { prefixes: vec![format!("invoke/{namespace}/"), format!("webhook/{namespace}/")], items_max: 3 })
    );
    let full = limits.told(Error::new(Code::Throttled, "4 items would wait"), &namespace);
    assert!(full.detail().contains("`queued`") && full.wait().is_some(), "{full}");
    assert_eq!(limits.told(Error::new(Code::StorageFull, "the disk is full"), &namespace).code(), Code::StorageFull);
    assert_eq!(limits.queue_room(&Name::new("other").unwrap()), None);
}
