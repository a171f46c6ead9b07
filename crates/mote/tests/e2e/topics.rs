//! Topics and webhooks of the real server: from a jail, from a provider, to a function and to a receiver.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::harness::{Server, folder, http, until};

const PYTHON: &str = "\
import urllib.request

def sell(total: int):
    request = urllib.request.Request('http://events.mote/topics/orders', data=b'{\"total\": %d}' % total, method='POST',
        headers={'content-type': 'application/json', 'ce-type': 'order.paid'})
    with urllib.request.urlopen(request) as answer:
        return answer.status

def seen(event, context):
    context.bucket('seen').put(event['type'], str(event['data']).encode())
";

const MANIFEST: &str = "\
[[function]]
name = \"sell\"
entry = \"f.py:sell\"

[[function]]
name = \"seen\"
entry = \"f.py:seen\"

[[function.topic]]
name = \"orders\"
filter = { data = { total = [{ numeric = [\">\", 10] }] } }

[[function.webhook]]
path = \"/hooks/lab\"
verify = \"gitlab\"
secret = \"lab\"
topic = \"orders\"
";

impl Server {
    fn kept(&self, key: &str) -> String {
        self.control("GET", &format!("/v1/buckets/seen/objects/{key}"), b"").text()
    }
}

#[test]
fn what_is_published_reaches_functions_and_webhooks() {
    let server = Server::start();
    server.mote(&["bucket", "create", "seen"]).ok();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hush").unwrap();
    server.mote(&["secret", "set", "lab", "--file", secret.path().to_str().unwrap()]).ok();
    let folder = folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)]);
    server.deploy_path(folder.path());

    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let (url, rule) = (format!("http://127.0.0.1:{port}/hook"), format!("127.0.0.1:{port}"));
    server.mote(&["topic", "subscribe", "orders", "--name", "hook", "--to", &url, "--egress", &rule]).ok();
    let shown = server.mote(&["topic", "show", "orders"]).ok().stdout;
    assert!(shown.contains("seen") && shown.contains(&url), "{shown}");

    assert_eq!(server.get("/sell?total=12").is(200).text(), "202");
    until("the function has it", || server.kept("order.paid") == "{'total': 12}");
    let posted = taken(&receiver);
    assert!(
        posted.starts_with("POST /hook HTTP/1.1") && posted.contains("ce-type: order.paid") && posted.ends_with("{\"total\": 12}"),
        "{posted}"
    );

    let small = server.mote(&["topic", "publish", "orders", "--data", "{\"total\": 1}", "--json"]).ok().json();
    assert_eq!(small["deliveries"], 1, "the filter keeps it from the function");
    taken(&receiver);

    server.mote(&["topic", "subscribe", "gone", "--name", "near", "--to", "http://127.0.0.1:9/"]).ok();
    server.mote(&["topic", "publish", "gone"]).ok();
    let dead = || server.mote(&["dlq", "list", "--webhooks", "--json"]).ok().lines();
    until("the refused one is buried", || dead().len() == 1);
    assert!(dead()[0]["reason"].as_str().unwrap().starts_with("webhook-refused"), "{:?}", dead());
    server.mote(&["dlq", "purge", "--webhooks", "--all"]).ok();
    assert!(dead().is_empty());

    let hook = |token: &str| {
        let head = format!(
            "POST /hooks/lab HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-gitlab-token: {token}\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n"
        );
        http(server.address("public"), &head, b"{\"total\": 99}")
    };
    assert_eq!(hook("wrong").is(401).code(), "signature-invalid");
    hook("hush").is(202);
    until("the provider's event is there", || server.kept("mote.webhook.received") == "{'total': 99}");
    server.mote(&["topic", "unsubscribe", "orders", "--name", "hook"]).ok();
}

/// One request, answered with 204.
fn taken(receiver: &TcpListener) -> String {
    let (mut stream, _) = receiver.accept().unwrap();
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    while !came.ends_with(b"}") {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "it broke off: {}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&piece[..length]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    String::from_utf8(came).unwrap()
}
