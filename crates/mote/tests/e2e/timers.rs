//! Timers of the real server, on the machine's clock: they fire, and go on after a kill.

use mote_core::clock::Timestamp;

use crate::harness::{Server, folder, until};

const PYTHON: &str = "\
def tick(event, context):
    told = ' '.join([event['type'], event['source'], str(event['data'])])
    context.bucket('ticks').put(event['time'], told.encode())
";

const MANIFEST: &str = "\
[[function]]
name = \"tick\"
entry = \"f.py:tick\"

[[function.timer]]
name = \"often\"
schedule = \"every 1s\"
payload = { n = 1 }
catch_up = \"all\"

[[function.timer]]
name = \"mornings\"
schedule = \"0 9 * * *\"
timezone = \"Europe/Berlin\"

[[function.timer]]
name = \"past\"
schedule = \"at(2020-01-01T00:00:00)\"
";

impl Server {
    /// The times of all runs, each of which has left an object behind: a log may lose its last lines.
    fn ticks(&self) -> Vec<String> {
        let found = self.control("GET", "/v1/buckets/ticks/objects", b"").is(200).json();
        found["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn timers_fire_and_go_on_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(dir.path());
    server.mote(&["bucket", "create", "ticks"]).ok();
    let folder = folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)]);
    let deployed = server.mote(&["deploy", folder.path().to_str().unwrap()]).ok();
    assert!(deployed.stderr.contains("past of tick never fires again"), "{deployed:?}");
    until("it fired", || server.ticks().len() >= 2);

    let listed = server.mote(&["timer", "list", "--next", "3", "--json"]).ok().json();
    let timers = listed["timers"].as_array().unwrap();
    let [often, mornings, past] = &timers[..] else { panic!("{listed}") };
    assert_eq!((often["name"].as_str(), often["next"].as_array().map(Vec::len)), (Some("often"), Some(3)));
    assert!(mornings["last"].is_null() && mornings["zone"] == "Europe/Berlin", "{listed}");
    assert_eq!(past["next"], serde_json::json!([]));
    let table = server.mote(&["timer", "list"]).ok().stdout;
    assert!(table.contains("09:00:00 +0") && table.contains("never again"), "{table}");
    until("the last run is told", || server.mote(&["timer", "list", "--json"]).ok().json()["timers"][0]["last"].is_u64());

    server.signal("KILL");
    server.ended();
    drop(server);
    let server = Server::start_on(dir.path());
    let before = server.ticks().len();
    until("it fires again", || server.ticks().len() >= before + 2);
    let ticks = server.ticks();
    let told = server.control("GET", &format!("/v1/buckets/ticks/objects/{}", ticks[0]), b"").is(200).text();
    assert_eq!(told, "mote.timer.fired /timers/often {'n': 1}");
    // Each second, and none left out while nobody was there.
    let seconds: Vec<u64> = ticks.iter().map(|time| Timestamp::from_rfc3339(time).unwrap().0 / 1000).collect();
    assert!(seconds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ticks:?}");
    assert_eq!(server.mote(&["list", "--json"]).ok().json()["functions"].as_array().map(Vec::len), Some(1));
}
