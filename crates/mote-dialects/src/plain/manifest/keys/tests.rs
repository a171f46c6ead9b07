//! Every key of mote.toml, good and bad.

use std::collections::BTreeMap;

use mote_core::bundle::Bundle;
use mote_core::clock::Timestamp;
use mote_core::dialect::Deployment;
use mote_core::egress::Egress;
use mote_core::function::delivery::{Delivery, Destination, Failure, KeyPath, Order, Retry};
use mote_core::function::mqtt::MqttFilter;
use mote_core::function::timer::Timer;
use mote_core::function::{Binding, Cors, Family, HttpAccess, Isolation, Limits, Name, ObjectChange, Recorded, Runtime, UrlAccess};
use mote_core::mqtt::Qos;
use mote_core::schedule::{CatchUp, Options};
use mote_core::secret::{GivenAs, SecretUse};
use mote_core::{Code, Error, Result};

use super::deployment;

fn deploy(manifest: &str) -> Result<Vec<Deployment>> {
    let mut bundle = Bundle::default();
    let files = [("mote.toml", manifest), ("main.py", ""), ("other.py", ""), ("src/a.ts", ""), ("run", "#!/bin/sh\n"), ("notes", "")];
    for (path, content) in files {
        bundle.insert(path, content.to_owned(), false).unwrap();
    }
    super::super::read(&bundle, &Default::default()).map(|manifest| manifest.expect("a mote.toml is plain's").functions)
}

#[test]
fn an_empty_manifest_has_every_default() {
    assert_eq!(deploy("").unwrap(), [deployment(Family::Python.into(), "main.py")]);
}

#[test]
fn every_key_is_read() {
    let manifest = include_str!("../../../../../../fixtures/plain/every-key/mote.toml");
    let expect = Deployment {
        files: None,
        name: Some(Name::new("orders").unwrap()),
        runtime: Runtime { family: Family::Python, version: "3.12".into() },
        dialect: "plain",
        entry: "main.py".into(),
        limits: Limits {
            timeout_ms: 90_000,
            memory_bytes: 256_000_000,
            cpu_millis: 500,
            processes: 64,
            open_files: 512,
            tmp_bytes: 100 << 20,
            body_bytes: 10_000_000,
            reply_bytes: 20_000_000,
            log_bytes: 1_000_000,
            concurrency: 8,
            instances_max: 4,
            instances_min: 1,
            waiting_max: 50,
            idle_ms: 120_000,
        },
        env: BTreeMap::from([("STAGE".into(), "test".into()), ("_x1".into(), "".into())]),
        secrets: vec![
            SecretUse { secret: Name::new("db-password").unwrap(), given_as: GivenAs::Env("DB_PASSWORD".into()) },
            SecretUse { secret: Name::new("tls-key").unwrap(), given_as: GivenAs::File("tls.key".into()) },
        ],
        egress: Egress::Rules(
            ["example.com:443", "*.example.com:*", "10.1.0.0/16:5432"].iter().map(|rule| rule.parse().unwrap()).collect(),
        ),
        isolation: Isolation::Strict,
        delivery: Delivery {
            retry: Retry {
                attempts_max: 3,
                backoff_ms: 2000,
                backoff_max_ms: 60_000,
                age_max_ms: 3_600_000,
                on: vec![Failure::Timeout, Failure::Crash],
            },
            result_kept_ms: 7_200_000,
            order: Some(Order { by: KeyPath::Data(vec!["user".into(), "id".into()]), width: 2, rate: "1/s".parse().ok() }),
            rate: "10/s".parse().ok(),
            debounce_ms: Some(5000),
            debounce_max_ms: Some(60_000),
            throttle_ms: None,
            on_success: Some(Destination::Function(Name::new("audit").unwrap())),
            on_failure: Some(Destination::Function(Name::new("alarm").unwrap())),
            dead_letters: Some(Destination::Queue(Name::new("unread").unwrap())),
        },
        records: Recorded { keep_body: false },
        preparing: Default::default(),
        port: None,
        pulls: false,
        about: Default::default(),
        http: HttpAccess {
            url: false,
            access: UrlAccess::Signed,
            methods: vec!["GET".into(), "POST".into()],
            cors: Some(Cors {
                origins: vec!["https://shop.example".into(), "http://localhost:3000".into()],
                methods: vec!["POST".into()],
                headers: vec!["content-type".into()],
                expose: vec!["x-total".into()],
                credentials: true,
                max_age_s: 600,
            }),
        },
        bindings: vec![
            Binding::http("/orders/{id}", vec!["GET".into()]),
            Binding::http("/orders/{id}/{*rest}", vec![]),
            Binding::Bucket {
                bucket: "photos".into(),
                events: vec![ObjectChange::Created, ObjectChange::Removed],
                prefix: "in/".into(),
                suffix: ".jpg".into(),
                retry: Some(Retry {
                    attempts_max: 1,
                    backoff_ms: 2000,
                    backoff_max_ms: 60_000,
                    age_max_ms: 60_000,
                    on: vec![Failure::Timeout, Failure::Crash],
                }),
            },
            Binding::Bucket {
                bucket: "photos".into(),
                events: vec![ObjectChange::Created],
                prefix: "".into(),
                suffix: "".into(),
                retry: None,
            },
            Binding::Timer(
                Timer {
                    name: Some(Name::new("morning").unwrap()),
                    schedule: "0 9 * * MON-FRI".parse().unwrap(),
                    options: Options {
                        zone: "Europe/Berlin".parse().unwrap(),
                        start: Some(Timestamp(1_796_115_600_000)),
                        end: Some(Timestamp(1_827_655_200_000)),
                        jitter_ms: 300_000,
                    },
                    catch_up: CatchUp::All,
                    payload: Some(serde_json::json!({"kind": "daily", "days": [1, 2.5, true], "since": "2026-01-01"})),
                    enabled: false,
                    retry: Some(Retry {
                        attempts_max: 3,
                        backoff_ms: 5,
                        backoff_max_ms: 10,
                        age_max_ms: 3_600_000,
                        on: vec![Failure::Error],
                    }),
                }
                .into(),
            ),
            Binding::Timer(
                Timer {
                    name: None,
                    schedule: "every 90s".parse().unwrap(),
                    options: Options::default(),
                    catch_up: CatchUp::Last,
                    payload: None,
                    enabled: true,
                    retry: None,
                }
                .into(),
            ),
            Binding::Mqtt(
                MqttFilter {
                    filter: "sensors/+/temp".parse().unwrap(),
                    qos: Qos::AtLeast,
                    retry: Some(Retry {
                        attempts_max: 2,
                        backoff_ms: 2000,
                        backoff_max_ms: 60_000,
                        age_max_ms: 3_600_000,
                        on: vec![Failure::Timeout, Failure::Crash],
                    }),
                }
                .into(),
            ),
        ],
        flow: None,
    };
    assert_eq!(deploy(manifest).unwrap(), [expect]);
}

#[test]
fn several_functions_share_the_top_level() {
    let manifest = include_str!("../../../../../../fixtures/plain/several/mote.toml");
    let deployments = deploy(manifest).unwrap();
    let seen: Vec<_> = deployments
        .iter()
        .map(|d| (d.name.as_ref().unwrap().as_str(), d.entry.as_str(), d.runtime.family, d.limits.timeout_ms, d.env["LEVEL"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("one", "main.py", Family::Python, 5000, "info"),
            ("two", "src/a.ts:two", Family::Node, 10_000, "debug"),
            ("three", "run", Family::Executable, 5000, "info")
        ]
    );
}

#[test]
fn the_runtime_follows_the_entry() {
    let check = |manifest: &str, entry: &str, family| {
        let [deployment] = &deploy(manifest).unwrap()[..] else { panic!("one function") };
        assert_eq!((deployment.entry.as_str(), deployment.runtime.family), (entry, family), "{manifest}");
    };
    check("entry = 'other.py'", "other.py", Family::Python);
    check("entry = './src/a.ts:f'", "src/a.ts:f", Family::Node);
    check("entry = 'run'", "run", Family::Executable);
    check("entry = 'notes'\nruntime = 'executable'", "notes", Family::Executable);
}

#[test]
fn errors_name_the_line_the_key_and_the_way_out() {
    let check = |manifest: &str, detail: &str, hint: &str| {
        let error: Error = deploy(manifest).unwrap_err();
        assert_eq!(error.code(), Code::ManifestInvalid, "{manifest}");
        assert!(error.detail().contains(detail), "{manifest}\n{}", error.detail());
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{manifest}\n{:?}", error.hint_text());
    };
    let timer = |rest: &str| format!("[[timer]]\n{rest}");
    check(&timer(""), "[[timer]] has no `schedule`", "every 90s");
    check(&timer("schedule = '0 25 * * *'"), "line 2: `schedule` can't be taken: the hour of the schedule", "`9`");
    check(
        &timer("schedule = '@daily'\ntimezone = 'Berlin'"),
        "line 3: `timezone` can't be taken: the time zone \"Berlin\"",
        "`Europe/Berlin`",
    );
    check(&timer("schedule = '@daily'\nstart = 'soon'"), "line 3: `start` is 'soon', and a date and time", "");
    check(&timer("schedule = '@daily'\nstart = 2027-01-01\n"), "line 3: `start`", "");
    check(&timer("schedule = '@daily'\nstart = 2027-01-01T00:00:00\nend = 2026-01-01T00:00:00"), "is not before its end", "later");
    check(&timer("schedule = '@daily'\njitter = '25h'"), "line 3: `jitter` is '25h', and 0ms to 24h", "");
    check(&timer("schedule = '@daily'\ncatch_up = 'most'"), "\"none\", \"last\" or \"all\"", "");
    check(&timer("schedule = '@daily'\npayload = { a = [nan] }"), "what JSON can say", "");
    check(&timer(&format!("schedule = '@daily'\npayload = '{}'", "x".repeat(65_537))), "has 65537 bytes", "");
    check(&timer("schedule = '@daily'\nzone = 'UTC'"), "[[timer]] has no key \"zone\"", "");
    check("timeuot = '3s'", "mote.toml line 1: the manifest has no key \"timeuot\"", "Did you mean `timeout`?");
    check("\n[http]\n", "line 2: `http` is", "");
    check("colour = 1", "no key \"colour\"", "Known keys: name, dialect, entry");
    check("\n\ntimeout = 30", "line 3: `timeout` is 30, and a duration such as \"500ms\"", "");
    check("timeout = '16m'", "`timeout` is '16m', and 1ms to 15m is wanted", "");
    check("timeout = '0s'", "1ms to 15m", "");
    check("memory = '15MB'", "16MB to 1024GiB is wanted", "");
    check("memory = '256'", "a size such as", "");
    check("body = '6GiB'", "0B to 5GiB", "");
    check("tmp = '1kB'", "1MB to 64GiB", "");
    check("idle = '1ms'", "1s to 24h", "");
    check("concurrency = 0", "1 to 1000 is wanted", "");
    check("concurrency = 1001", "1 to 1000", "");
    check("concurrency = -1", "1 to 1000", "");
    check("concurrency = 99999999999999999999", "1 to 1000", "");
    check("concurrency = '1'", "a whole number", "");
    check("[async]\norder_rate = '1/s'", "means nothing without `order_by`", "");
    check("[async]\ndebounce_max = '1s'", "means nothing without `debounce`", "");
    check("[async]\ndebounce = '2s'\ndebounce_max = '1s'", "2s to 720h is wanted", "");
    check("[async]\ndebounce = '2s'\nthrottle = '1s'", "can't stand beside `debounce`", "");
    check("instances_max = 0", "1 to 1000", "");
    check("instances_max = 2\ninstances_min = 3", "line 2: `instances_min` makes instances_min 3 and instances_max 2", "");
    check("open_files = 1", "16 to 1048576", "");
    check("url = 'yes'", "true or false", "");
    check("methods = ['BREW']", "GET, HEAD, POST", "");
    check("methods = 'GET'", "a list of strings", "");
    check("name = 'a b'", "`name` is no name", "letters, digits");
    check("runtime = 'ruby'", "names no runtime", "`python`");
    check("runtime = 3", "a string in quotes", "");
    check("entry = 'man.py'", "`entry` is 'man.py', and a file of the bundle is wanted", "Did you mean \"main.py\"?");
    check("entry = 'gone.rb'", "a file of the bundle", "The bundle holds main.py, notes, other.py");
    check("entry = 'main.py:a b'", "`file:function`", "");
    check("entry = 'notes'", "nothing says how to run \"notes\"", "Set `runtime`");
    check("port = 8080\nentry = 'main.py:f'", "`port` says that the file is a server on port 8080", "Set `entry` to \"main.py\"");
    check("[env]\nX = 1", "line 2: `X` is 1, and a string", "");
    check("[env]\n'A B' = ''", "no name for a variable", "");
    check("[env]\nMOTE_X = ''", "mote sets itself", "");
    check("[env]\nX = \"\\u0000\"", "NUL", "");
    check("env = 3", "a table, [env]", "");
    check("[cors]\norigin = ['*']", "[cors] has no key \"origin\"", "`origins`");
    check("[cors]", "allows no origin", "Set `origins`");
    check("[cors]\norigins = ['example.org']", "a list of \"*\" or origins", "");
    check("[cors]\norigins = ['https://example.org/']", "a list of \"*\" or origins", "");
    check("[cors]\norigins = ['*']\ncredentials = true", "credentials to every origin", "Name the origins");
    check("[cors]\norigins = ['*']\nmax_age = '2d'", "a duration", "");
    check("[cors]\norigins = ['*']\nheaders = ['a b']", "header names", "");
    check("[[http]]", "no `path`", "");
    check("[[http]]\npath = 'orders'", "a path such as", "");
    check("[[http]]\npath = '/@other/x'", "not with \"/@\"", "");
    check("[[http]]\npath = '/x'\nmethod = ['GET']", "[[http]] has no key \"method\"", "`methods`");
    check("[[bucket]]", "no `name`", "");
    check("[[bucket]]\nname = 'No'", "a bucket's name", "");
    check("[[bucket]]\nname = 'photos'\nevents = ['made']", "\"complete-multipart-upload\" of these alone) and \"removed\"", "");
    check("[[bucket]]\nname = 'photos'\nevents = []", "one event", "");
    check("name = ", "mote.toml line 1", "");
    check("name = 'a'\nname = 'b'", "mote.toml line 2", "");
    check("[[function]]\nname = 'a'", "without `name` or `entry`", "");
    check("name = 'a'\n[[function]]\nname = 'a'\nentry = 'main.py'", "no key \"name\"", "");
    check("function = []", "is empty", "");
    check("function = [1]", "tables, [[function]]", "");
    let twice = "[[function]]\nname = 'a'\nentry = 'main.py'\n".repeat(2);
    check(&twice, "two functions of one name", "");
    let many = "[[bucket]]\nname = 'photos'\n".repeat(101);
    check(&many, "at most 100", "");
    let large = format!("[env]\nX = '{}'", "x".repeat(70_000));
    check(&large, "is the limit", "");
    check(&"#".repeat(300_000), "more than the limit", "");
}

#[test]
fn noise_is_an_error_and_never_a_panic() {
    let valid = include_str!("../../../../../../fixtures/plain/every-key/mote.toml");
    for cut in 0..valid.len() {
        let _ = deploy(&valid[..cut]);
        let mut bytes = valid.as_bytes().to_vec();
        bytes[cut] = b"\"[]{}=\n\\\xc3"[cut % 9];
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = deploy(&text);
        }
    }
    assert!(deploy(&"[".repeat(100_000)).is_err());
    assert!(deploy(&format!("x = {}", "[".repeat(100_000))).is_err());
}
