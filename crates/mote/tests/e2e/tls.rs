//! The doors with TLS, to clients that trust an authority made for the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Run, Server, connect, mote, until};

const ECHO: &str = "def echo(text: str = 'ok'):\n    return text\n";

/// An authority, and the files of a server that it vouches for.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let this = Authority { dir, issuer: Issuer::new(params, key) };
        this.issue(&["localhost", "127.0.0.1"], |_| {});
        this
    }

    /// Writes a new certificate and its key in the place of the old ones.
    fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(self.file("cert.pem"), certificate.pem()).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn serve(&self, data: &Path) -> Command {
        let mut serve = mote();
        serve.arg("serve").arg("--data").arg(data).arg("--json");
        for door in ["--public", "--control", "--aws", "--mqtt"] {
            serve.args([door, "127.0.0.1:0"]);
        }
        serve.arg("--tls-cert").arg(self.file("cert.pem")).arg("--tls-key").arg(self.file("key.pem"));
        serve
    }

    fn config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn connect(&self, address: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let session = ClientConnection::new(self.config(&["http/1.1"]), ServerName::try_from("localhost").unwrap()).unwrap();
        StreamOwned::new(session, connect(address))
    }
}

fn address<'s>(server: &'s Server, door: &str) -> &'s str {
    server.ready[door].as_str().unwrap().strip_prefix("https://").expect("doors speak TLS")
}

/// One request on a connection that stays open; the reply's body.
fn ask(stream: &mut StreamOwned<ClientConnection, TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if length.is_some_and(|length| body.len() >= length.trim().parse().unwrap()) {
                return body.to_owned();
            }
        }
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{text}");
        bytes.extend_from_slice(&piece[..read]);
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

#[test]
fn every_door_speaks_tls_and_nothing_else() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::of(authority.serve(data.path()), data.path());
    // The command line on this machine knows the server by the certificate that it wrote down.
    let deployed = server.deploy("echo.py", ECHO);
    assert!(deployed["url"].as_str().unwrap().starts_with("https://"), "{deployed}");
    assert_eq!(ask(&mut authority.connect(address(&server, "public")), &get("/echo?text=hello")), "hello");
    // From elsewhere, by an authority that is named.
    let elsewhere = |ca: Option<&str>| {
        let mut list = mote();
        list.args(["list", "--json"])
            .env("MOTE_URL", server.ready["control"].as_str().unwrap())
            .env("MOTE_TOKEN", server.ready["token"].as_str().unwrap());
        if let Some(ca) = ca {
            list.arg("--ca").arg(authority.file(ca));
        }
        Run::of(&mut list)
    };
    assert_eq!(elsewhere(Some("ca.pem")).ok().json()["functions"][0]["name"], "echo");
    let unknown = elsewhere(None).exits(3);
    assert!(unknown.stdout.contains("UnknownIssuer"), "{unknown:?}");
    assert!(elsewhere(Some("key.pem")).exits(2).stdout.contains("can't be trusted"));
    for door in ["public", "control", "aws"] {
        let mut plain = connect(address(&server, door));
        plain.write_all(get("/echo").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/"), "{door} answers in the clear");
    }
}

#[test]
fn http2_is_agreed_on_in_the_handshake() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::of(authority.serve(data.path()), data.path());
    server.deploy("echo.py", ECHO);
    let address = address(&server, "public");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(authority.config(&["h2", "http/1.1"]));
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for text in ["one", "two"] {
            let request = http::Request::get(format!("https://localhost/echo?text={text}")).body(Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
        }
    });
}

#[test]
fn a_new_certificate_is_shown_to_new_clients_and_disturbs_no_old_one() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::of(authority.serve(data.path()), data.path());
    server.deploy("echo.py", ECHO);
    let shown = || {
        let mut stream = authority.connect(address(&server, "public"));
        ask(&mut stream, &get("/echo"));
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let mut open = authority.connect(address(&server, "public"));
    ask(&mut open, &get("/echo"));
    let first = shown();
    // Half a renewal: the key of one, the certificate of the other. Nothing changes.
    let certificate = std::fs::read(authority.file("cert.pem")).unwrap();
    authority.issue(&["localhost", "127.0.0.1"], |_| {});
    let second = std::fs::read(authority.file("cert.pem")).unwrap();
    std::fs::write(authority.file("cert.pem"), certificate).unwrap();
    server.signal("HUP");
    assert_eq!(shown(), first);
    std::fs::write(authority.file("cert.pem"), &second).unwrap();
    server.signal("HUP");
    let second = CertificateDer::from_pem_slice(&second).unwrap().to_vec();
    until("the new certificate is shown", || shown() == second);
    assert_eq!(ask(&mut open, &get("/echo?text=still")), "still");
    until("the command line knows it", || server.mote(&["list"]).code == 0);
    // Without a signal the files are looked at now and then.
    authority.issue(&["localhost", "127.0.0.1"], |_| {});
    until("the files are seen to have changed", || shown() != second);
}

#[test]
fn objects_are_kept_over_tls() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::of(authority.serve(data.path()), data.path());
    server.mote(&["bucket", "create", "photos"]).ok();
    let keys = server.mote(&["bucket", "credentials", "--json"]).ok().json();
    let text = |key: &str| keys[key].as_str().unwrap().to_owned();
    assert!(text("endpoint").starts_with("https://"));
    let endpoint = format!("https://localhost:{}", address(&server, "aws").rsplit(':').next().unwrap());
    let bucket = Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, "photos", "us-east-1").unwrap();
    let credentials = Credentials::new(text("access_key_id"), text("secret_access_key"));
    let target = |url: reqwest::Url| format!("{}?{}", url.path(), url.query().unwrap());
    let host = endpoint.strip_prefix("https://").unwrap();
    let put = target(bucket.put_object(Some(&credentials), "a.txt").sign(Duration::from_secs(60)));
    let mut stream = authority.connect(address(&server, "aws"));
    ask(&mut stream, &format!("PUT {put} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\n\r\nhello"));
    let get = target(bucket.get_object(Some(&credentials), "a.txt").sign(Duration::from_secs(60)));
    assert_eq!(ask(&mut stream, &format!("GET {get} HTTP/1.1\r\nhost: {host}\r\n\r\n")), "hello");
}

#[test]
fn a_client_that_never_speaks_is_let_go() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut server = Server::of(authority.serve(data.path()), data.path());
    let mut silent: Vec<TcpStream> = (0..300).map(|_| connect(address(&server, "public"))).collect();
    // More than may shake hands at once, and all have their time from the beginning.
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "it is told nothing");
    }
    server.deploy("echo.py", ECHO);
    assert_eq!(ask(&mut authority.connect(address(&server, "public")), &get("/echo")), "ok");
    // One in the middle of its handshake holds up no stop.
    let _silent = connect(address(&server, "control"));
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn files_that_can_not_be_used_are_told_at_once() {
    let (authority, data) = (Authority::new(), tempfile::tempdir().unwrap());
    let refused = |expect: &str| {
        let run = Run::of(&mut authority.serve(data.path())).exits(1);
        assert!(run.stdout.contains(expect), "{expect}: {run:?}");
    };
    let good = std::fs::read(authority.file("key.pem")).unwrap();
    std::fs::write(authority.file("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    refused("is not the one of the certificate");
    std::fs::write(authority.file("key.pem"), "nothing of the kind").unwrap();
    refused("wanted: a private key in PEM");
    std::fs::remove_file(authority.file("key.pem")).unwrap();
    refused("can't be read");
    std::fs::write(authority.file("key.pem"), good).unwrap();
    std::fs::write(authority.file("cert.pem"), "").unwrap();
    refused("wanted: certificates in PEM");
    let half = Run::of(mote().args(["serve", "--tls-cert", "x", "--json"])).exits(2);
    assert!(half.stdout.contains("--tls-key"), "{half:?}");
    // An old one is told of, and works as far as it can.
    authority.issue(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let mut serve = authority.serve(data.path());
    let mut child = serve.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line).unwrap();
    let _ = child.kill();
    child.wait().unwrap();
    assert!(line.contains("expired at 2020-01-01T00:00:00"), "{line}");
}

#[test]
fn silent_clients_keep_nobody_from_a_handshake() {
    let authority = Authority::new();
    let data = tempfile::tempdir().unwrap();
    let server = Server::of(authority.serve(data.path()), data.path());
    let silent: Vec<TcpStream> = (0..300).map(|_| connect(address(&server, "public"))).collect();
    let begun = std::time::Instant::now();
    let mut stream = authority.connect(address(&server, "public"));
    stream.conn.complete_io(&mut stream.sock).unwrap();
    // A silent one is sent away after ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for {} others", silent.len());
}
