//! The aws door by plain HTTP: who is let in on this machine, and who has to prove himself.
//!
//! Real clients of AWS: `tests/s3`.

use crate::harness::{Reply, Server, http};

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

#[test]
fn any_key_will_do_on_this_machine_but_not_in_a_browser() {
    let server = Server::start();
    let known = identity(&server, "").is(200);
    assert!(known.text().contains("<Account>000000000000</Account>"), "{}", known.text());
    for stranger in
        ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Host: evil.example\r\n", "X-Forwarded-For: 10.0.0.7\r\n"]
    {
        let refused = identity(&server, stranger).is(403);
        assert!(refused.text().contains("<Code>InvalidSignatureException</Code>"), "{stranger}: {}", refused.text());
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
    assert!(refused.text().contains("<Code>InvalidSignatureException</Code>"), "{}", refused.text());
    put(&server, "/photos", "", "").is(403);
}
