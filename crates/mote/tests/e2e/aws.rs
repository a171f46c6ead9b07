//! The aws door by plain HTTP: who is let in on this machine, and who has to prove himself.
//!
//! Real clients of AWS: `tests/s3`.

use serde_json::{Value, json};

use crate::harness::{Reply, Server, folder, http};

const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// Signed for STS by a key that nobody knows, as tools for local work do.
fn identity(server: &Server, headers: &str) -> Reply {
    let signature = "0".repeat(64);
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", server.address("aws")) };
    let head = format!(
        "POST / HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {}\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, \
         Signature={signature}\r\n\r\n",
        FORM.len()
    );
    http(server.address("aws"), &head, FORM.as_bytes())
}

fn put(server: &Server, target: &str, headers: &str, body: &str) -> Reply {
    let host = server.address("aws");
    let head = format!("PUT {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    http(host, &head, body.as_bytes())
}

/// Of EventBridge, known by its target alone.
fn events(server: &Server, operation: &str, input: &Value) -> Reply {
    let (host, body) = (server.address("aws"), input.to_string());
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: AWSEvents.{operation}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    http(host, &head, body.as_bytes())
}

#[test]
fn any_key_will_do_on_this_machine_but_not_in_a_browser() {
    let server = Server::start();
    let known = identity(&server, "").is(200);
    assert!(known.text().contains("<Account>000000000000</Account>"), "{}", known.text());
    for stranger in
        ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Host: evil.example\r\n", "X-Forwarded-For: 10.0.0.7\r\n"]
    {
        let refused = identity(&server, stranger).is(403);
        assert!(refused.text().contains("<Code>InvalidClientTokenId</Code>"), "{stranger}: {}", refused.text());
    }
    // The same for objects, with no signature at all.
    put(&server, "/photos", "", "").is(200);
    put(&server, "/photos/a.txt", "", "hello").is(200);
    let refused = put(&server, "/photos/b.txt", "Origin: http://evil.example\r\n", "hello").is(403);
    assert!(refused.text().contains("AccessDenied"));
    let listed = server.mote(&["bucket", "objects", "photos", "--json"]).ok().stdout;
    assert!(listed.contains("a.txt") && !listed.contains("b.txt"), "{listed}");
}

#[test]
fn a_server_that_believes_known_keys_alone_lets_nobody_else_in() {
    let server = Server::start_with(&["--aws-keys", "known", "--aws-account", "123456789012"]);
    let refused = identity(&server, "").is(403);
    assert!(refused.text().contains("<Code>InvalidClientTokenId</Code>"), "{}", refused.text());
    put(&server, "/photos", "", "").is(403);
}

#[test]
fn a_rest_api_takes_no_result_that_is_none() {
    let manifest = "name = 'f'\ndialect = 'aws'\nruntime = 'python3.12'\nentry = 'app.handler'\n\
                    [[http]]\npath = '/one/{proxy+}'\npayload = '1.0'\n[[http]]\npath = '/two/{proxy+}'\npayload = '2.0'\n";
    let code = "def handler(event, context):\n    return {'statusCode': 201, 'body': 'x'} if 'whole' in str(event.get('path')) else {}\n";
    let server = Server::start();
    server.deploy_path(folder(&[("mote.toml", manifest), ("app.py", code)]).path());
    assert_eq!(server.get("/one/whole").is(201).text(), "x");
    let refused = server.get("/one/empty").is(502);
    assert_eq!(refused.text(), r#"{"message":"Internal server error"}"#);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(server.get("/two/empty").is(200).text(), "{}");
}

#[test]
fn a_rule_is_there_after_a_start_and_until_it_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(dir.path());
    server.control("PUT", "/v1/queues/q", b"{}").is(200);
    events(&server, "PutRule", &json!({ "Name": "paid", "EventPattern": "{\"source\":[\"shop\"]}" })).is(200);
    let target = json!({ "Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q" });
    events(&server, "PutTargets", &json!({ "Rule": "paid", "Targets": [target] })).is(200);
    drop(server);

    let server = Server::start_on(dir.path());
    let entry = |source: &str| json!({ "Source": source, "DetailType": "paid", "Detail": "{}" });
    events(&server, "PutEvents", &json!({ "Entries": [entry("shop"), entry("other")] })).is(200);
    assert_eq!(server.control("GET", "/v1/queues/q", b"").is(200).json()["messages"], 1);
    let listed = server.mote(&["rule", "list"]).ok().stdout;
    assert!(listed.contains("paid") && listed.contains("topic default") && listed.contains("queue:q"), "{listed}");
    let [rule] = <[Value; 1]>::try_from(server.mote(&["rule", "list", "--json"]).ok().lines()).unwrap();
    assert_eq!((&rule["group"], &rule["targets"][0]["id"]), (&json!("bus.default"), &json!("1")));
    assert_eq!(server.mote(&["rule", "show", "paid"]).ok().json(), rule);
    server.mote(&["rule", "remove", "paid"]).ok();
    server.mote(&["rule", "remove", "paid"]).exits(1);
    assert!(server.mote(&["rule", "list", "--json"]).ok().lines().is_empty());
}
