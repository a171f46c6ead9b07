//! The door as bytes on a connection: what no client library would send, and what it hides.
//!
//! Operations as clients see them are the suite of `tests/s3`.

#[path = "wire/client.rs"]
mod client;

use std::sync::Arc;
use std::time::Duration;

use client::{Door, header};
use mote_core::access::Credential;
use mote_core::access::rights::{Right, Scope};
use mote_core::access::tokens::TokenWish;
use mote_core::clock::Clock;
use mote_core::function::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BODY: &[u8] = b"123456789";
const CRC32: &str = "y/Q5Jg==";

#[tokio::test]
async fn a_signed_put_and_get() {
    let door = Door::open().await;
    let put = door.signed("PUT", "/photos/a%20b", &[], BODY).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(header(&put, "etag"), "\"25f9e794323b453885f5181f1b624d0b\"");
    let got = door.signed("GET", "/photos/a%20b", &[], b"").await;
    assert_eq!((got.status, got.body.as_slice()), (200, BODY));
}

#[tokio::test]
async fn an_empty_upload_that_expects_a_100_ends_its_connection() {
    let door = Door::open().await;
    for (body, connection) in [(&b""[..], "close"), (BODY, "")] {
        let length = body.len().to_string();
        let head = door.sign("PUT", "/photos/empty", &[("expect", "100-continue"), ("content-length", &length)], body);
        let put = door.send(&head, body).await;
        assert_eq!(header(&put, "connection"), connection, "{put:?}");
    }
}

#[tokio::test]
async fn time_is_the_clocks() {
    let door = Door::open().await;
    let head = door.sign("GET", "/photos", &[], b"");
    assert_eq!(door.send(&head, b"").await.status, 200);
    door.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(door.send(&head, b"").await.status, 200);
    door.clock.advance(Duration::from_secs(1));
    let late = door.send(&head, b"").await;
    assert_eq!(late.status, 403);
    assert!(late.text().contains("RequestTimeTooSkewed"), "{late:?}");
}

#[tokio::test]
async fn a_chunked_body_with_a_trailer() {
    let door = Door::open().await;
    let put = |trailer: &'static str| {
        let door = &door;
        async move {
            let body = format!("4\r\n1234\r\n5\r\n56789\r\n0\r\n{trailer}\r\n\r\n");
            let length = body.len().to_string();
            let headers = [
                ("content-encoding", "aws-chunked"),
                ("content-length", length.as_str()),
                ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                ("x-amz-decoded-content-length", "9"),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
            ];
            door.send(&door.sign("PUT", "/photos/k", &headers, b""), body.as_bytes()).await
        }
    };
    for (trailer, word) in [("x-amz-checksum-crc32:AAAAAA==", "BadDigest"), ("x-amz-checksum-crc32c:4waSgw==", "IncompleteBody")] {
        let refused = put(trailer).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(word), "{refused:?}");
        assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.status, 404);
    }
    let put = put("x-amz-checksum-crc32:y/Q5Jg==").await;
    assert_eq!((put.status, header(&put, "x-amz-checksum-crc32").as_str()), (200, CRC32));
    let got = door.signed("GET", "/photos/k", &[("x-amz-checksum-mode", "ENABLED")], b"").await;
    assert_eq!(got.body, BODY);
    assert_eq!(header(&got, "x-amz-checksum-crc32"), CRC32);
    assert_eq!(header(&got, "content-encoding"), "");
}

#[tokio::test]
async fn signed_chunks_are_verified_one_by_one() {
    let door = Door::open().await;
    let (head, body) = door.sign_chunks("/photos/k", &[b"1234", b"56789", b""]);
    let mut forged = body.clone();
    let place = body.windows(4).position(|w| w == b"1234").unwrap();
    forged[place] = b'X';
    let refused = door.send(&head, &forged).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("SignatureDoesNotMatch"), "{refused:?}");
    assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.status, 404);
    assert_eq!(door.send(&head, &body).await.status, 200);
    assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.body, BODY);
}

#[tokio::test]
async fn the_end_of_an_empty_body_is_verified_too() {
    let door = Door::open().await;
    let (head, body) = door.sign_chunks("/photos/k", &[b""]);
    let forged = String::from_utf8(body.clone()).unwrap().replace("chunk-signature=", "chunk-signature=0")[..body.len()].to_owned();
    let refused = door.send(&head, forged.as_bytes()).await;
    assert_ne!(refused.status, 200, "{refused:?}");
    assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.status, 404);
    assert_eq!(door.send(&head, &body).await.status, 200);
    assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.body, b"");
}

#[tokio::test]
async fn a_truncated_upload_stores_nothing() {
    let door = Door::open().await;
    let cut = [
        door.sign("PUT", "/photos/k", &[("content-length", "1000"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], b""),
        door.sign(
            "PUT",
            "/photos/k",
            &[
                ("content-length", "1000"),
                ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                ("x-amz-decoded-content-length", "900"),
            ],
            b"",
        ),
    ];
    for head in cut {
        let mut connection = door.connect().await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(b"384\r\nonly so much").await.unwrap();
        connection.shutdown().await.unwrap();
        let mut reply = Vec::new();
        // The server may answer or just close; either way it has ended with this request.
        let _ = connection.read_to_end(&mut reply).await;
        assert!(!reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
        assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.status, 404);
    }
    assert_eq!(door.staged(), 0, "nothing is left on disk");
}

#[tokio::test]
async fn a_body_that_is_shorter_or_longer_than_it_says() {
    let door = Door::open().await;
    for decoded in ["8", "10"] {
        let body = b"9\r\n123456789\r\n0\r\n\r\n";
        let length = body.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", decoded),
        ];
        let refused = door.send(&door.sign("PUT", "/photos/k", &headers, b""), body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("IncompleteBody"), "{refused:?}");
    }
    assert_eq!(door.signed("GET", "/photos/k", &[], b"").await.status, 404);
}

#[tokio::test]
async fn expect_100_continue_is_refused_before_the_body() {
    let door = Door::open().await;
    let head = format!("PUT /photos/k HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n", door.address);
    let reply = door.send(&head, b"").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("AccessDenied"), "{reply:?}");
}

#[tokio::test]
async fn a_jail_needs_no_signature_and_the_door_does() {
    let door = Door::open().await;
    let plain = "PUT /photos/k HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\nconnection: close\r\n\r\n";
    assert_eq!(door.send(plain, BODY).await.status, 403);
    assert_eq!(door.send_from_jail(plain, BODY).await.status, 200);
    // A signature that means nothing here is let pass, and chunks of it are unpacked.
    let (head, body) = door.sign_chunks("/photos/chunked", &[b"1234", b"56789", b""]);
    let head = head.replace("Credential=mote", "Credential=whoever").replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    assert_eq!(door.send_from_jail(&head, &body).await.status, 200);
    for key in ["k", "chunked"] {
        let get = format!("GET /photos/{key} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer x\r\nconnection: close\r\n\r\n");
        assert_eq!(door.send_from_jail(&get, b"").await.body, BODY);
    }
}

#[tokio::test]
async fn a_key_reaches_its_own_namespace_as_far_as_its_rights() {
    let door = Door::open().await;
    let shop = Name::new("shop").unwrap();
    let key = async |name: &str, rights: &[Right]| {
        let (name, scope, rights) = (Name::new(name).unwrap(), Scope::One(shop.clone()), rights.iter().copied().collect());
        let wish = TokenWish { name, scope, rights, expires: None, s3: true };
        let made = door.access.create_token(&*door.store.catalog(), wish).await.unwrap();
        Credential::AccessKey(made.info.access_key_id.unwrap())
    };
    let (deploy, read) = (key("deploy", &[Right::Deploy]).await, key("read", &[Right::Read]).await);
    let (write, copy) = (key("write", &[Right::Invoke]).await, key("copy", &[Right::Invoke, Right::Read]).await);
    let ask = async |who: &Credential, line: &str, header: &str, body: &[u8]| {
        let head = format!("{line} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n{header}\r\n", body.len());
        door.send_as(who.clone(), &head, body).await
    };
    let status = async |who: &Credential, line: &str| ask(who, line, "", b"").await.status;
    // The default namespace has a bucket of this name too.
    assert_eq!(status(&read, "GET /photos?location").await, 404);
    assert_eq!(status(&write, "PUT /photos").await, 403);
    assert_eq!(status(&deploy, "PUT /photos").await, 200);
    assert_eq!(status(&deploy, "PUT /photos/k").await, 403);
    assert_eq!(ask(&write, "PUT /photos/k", "", BODY).await.status, 200);
    assert_eq!(status(&read, "PUT /photos/k").await, 403);
    assert_eq!(status(&write, "GET /photos/k").await, 403);
    assert_eq!(ask(&read, "GET /photos/k", "", b"").await.body, BODY);
    assert_eq!(status(&write, "GET /photos?list-type=2").await, 403);
    let source = "x-amz-copy-source: /photos/k\r\n";
    assert_eq!(ask(&write, "PUT /photos/copy", source, b"").await.status, 403);
    assert_eq!(ask(&copy, "PUT /photos/copy", source, b"").await.status, 200);
    let begun = ask(&write, "POST /photos/parts?uploads", "", b"").await;
    assert!(begun.status == 200 && begun.text().contains("<Bucket>photos</Bucket>"), "{begun:?}");
    let listed = ask(&read, "GET /photos?list-type=2", "", b"").await.text();
    assert!(listed.contains("<Key>copy</Key>") && listed.contains("<Key>k</Key>"), "{listed}");
    let buckets = async |who: &Credential| ask(who, "GET /", "", b"").await.text();
    door.store.objects().create_bucket("attic").await.unwrap();
    let (own, default) = (buckets(&read).await, buckets(&Credential::AccessKey("mote".into())).await);
    assert!(own.contains("<Name>photos</Name>") && !own.contains("attic"), "{own}");
    assert!(default.contains("<Name>attic</Name>") && !default.contains("shop"), "{default}");
    assert_eq!(status(&deploy, "DELETE /photos").await, 409);
    assert_eq!(ask(&Credential::AccessKey("mote".into()), "GET /shop%2Fphotos/k", "", b"").await.status, 404);
    assert_eq!(status(&write, "DELETE /photos/k").await, 204);
}

#[tokio::test]
async fn a_bucket_in_the_host_name() {
    let door = Door::open().await;
    door.signed("PUT", "/photos/k", &[], BODY).await;
    let host = format!("photos.localhost:{}", door.address.port());
    let head = door.sign("GET", "/k", &[("host", host.as_str())], b"");
    assert_eq!(door.send(&head, b"").await.body, BODY);
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let door = Door::open().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let reply = door.send(&format!("GET / HTTP/1.1\r\nhost: h\r\n{many}\r\n"), b"").await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn requests_have_ids_of_the_clock() {
    let door = Door::open().await;
    let reply = door.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n", b"").await;
    let next = Arc::clone(&door.clock).id().to_string();
    assert_eq!(header(&reply, "x-amz-request-id").len(), next.len());
    assert!(header(&reply, "x-amz-request-id") < next);
}

#[tokio::test]
async fn who_may_only_read_stages_nothing() {
    let door = Door::open().await;
    let name = |text: &str| Name::new(text).unwrap();
    let rights = [Right::Read].into_iter().collect();
    let wish = TokenWish { name: name("reader"), scope: Scope::One(Name::default_namespace()), rights, expires: None, s3: true };
    let token = door.access.create_token(door.store.catalog().as_ref(), wish).await.unwrap();
    let reader = Credential::Token(token.token);
    // Announces more than it sends: the refusal comes before the body is read.
    let head = "PUT /photos/k HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\n";
    let put = door.send_as(reader, head, b"").await;
    assert_eq!((put.status, door.staged()), (403, 0), "{put:?}");
}
