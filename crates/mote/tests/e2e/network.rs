//! What functions reach: one another by name, the host where it is listed, and nothing else.
//!
//! No packet leaves the loopback here: what is meant for elsewhere is refused before. The rest of
//! the internet stands in the escape suite, which has a world of its own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{COPY, Server, folder, until};

fn deploy(server: &Server, name: &str, file: &str, manifest: &str, code: &str) {
    let runtime = if file.ends_with(".py") { "python" } else { "node" };
    let manifest = format!("name = '{name}'\nruntime = '{runtime}'\nentry = '{file}:f'\n{manifest}");
    server.deploy_path(folder(&[("mote.toml", &manifest), (file, code)]).path());
}

/// Every line of a function's log.
fn log(server: &Server, name: &str) -> String {
    server.mote(&["logs", name]).ok().stdout
}

#[test]
fn a_function_calls_another_by_its_name() {
    let server = Server::start();
    let callee = "def f(event, a: int = 0):\n    http = event['http']\n    return {'method': http['method'], 'path': http['path'], 'a': a, 'data': event.get('data')}\n";
    // Neither a URL nor its absence is between siblings.
    deploy(&server, "callee", "m.py", "url = false", callee);
    let python = "\
import json, urllib.request

def f(url: str, data: str = ''):
    request = urllib.request.Request(url, data=data.encode() or None, headers={'content-type': 'text/plain'})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return {'code': reply.status, 'json': json.load(reply)}
    except urllib.error.HTTPError as error:
        return {'code': error.code, 'json': json.load(error)}
    except OSError as error:
        # Urllib wraps what happens while it sends, and nothing that comes after.
        return str(error)
";
    deploy(&server, "python", "m.py", "", python);
    let node =
        "export async function f(url) { const reply = await fetch(url); return { code: reply.status, json: await reply.json() }; }\n";
    deploy(&server, "node", "m.mjs", "", node);
    let called = json!({ "code": 200, "json": { "method": "GET", "path": "/x/y", "a": 3, "data": null } });
    for caller in ["python", "node"] {
        for host in ["callee", "Callee", "callee.mote"] {
            let reply = server.get(&format!("/{caller}?url=http://{host}/x/y%3Fa=3")).is(200).json();
            assert_eq!(reply, called, "{caller} → {host}");
        }
    }
    let posted = server.get("/python?url=http://callee/&data=hello").is(200).json();
    assert_eq!(posted["json"], json!({ "method": "POST", "path": "/", "a": 0, "data": "hello" }));
    let refused = server.get("/python?url=http://callee/%3Fa=x").is(200).json();
    assert_eq!((&refused["code"], &refused["json"]["error"]["code"]), (&json!(400), &json!("argument-invalid")));
    let only = server.get("/python?url=http://callee:81/").is(200).text();
    assert!(only.contains("reset"), "{only}");
    assert!(log(&server, "python").contains("egress denied: callee:81: a function is reached at port 80 alone"));
}

#[test]
fn functions_that_call_one_another_without_end_are_told_so() {
    let server = Server::start();
    let code = "\
export async function f() {
  const reply = await fetch('http://again/');
  const answer = await reply.json();
  return reply.status === 200 ? { deep: answer.deep + 1, code: answer.code } : { deep: 0, code: answer.error.code };
}
";
    deploy(&server, "again", "m.mjs", "concurrency = 50\negress = 'none'", code);
    assert_eq!(server.get("/again").is(200).json(), json!({ "deep": 15, "code": "loop-detected" }));
}

/// Lever's services all want :3837, and many a program port 80.
#[test]
fn functions_listen_on_the_same_port_at_once() {
    let server = Server::start();
    let code = |name: &str| {
        format!(
            "\
import socket, threading

def serve(port):
    server = socket.create_server(('0.0.0.0', port))
    def answer():
        while True:
            with server.accept()[0] as connection:
                connection.sendall(b'{name}')
    threading.Thread(target=answer, daemon=True).start()

serve(3837)
serve(80)

def f(port: int):
    with socket.create_connection(('127.0.0.1', port)) as connection:
        return connection.makefile().read()
"
        )
    };
    deploy(&server, "one", "m.py", "", &code("one"));
    deploy(&server, "two", "m.py", "", &code("two"));
    for port in [3837, 80] {
        assert_eq!(server.get(&format!("/one?port={port}")).is(200).text(), "one");
        assert_eq!(server.get(&format!("/two?port={port}")).is(200).text(), "two");
    }
}

/// Tries what it is asked to, and says what came of it in one word.
const TRY: &str = "\
import errno, socket

def f(host: str, port: int, say: str = ''):
    try:
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(say.encode())
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile().read()
    except socket.gaierror as error:
        return 'no such name'
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
";

/// Says what it hears, in capitals, once it has heard all.
fn shout() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut heard = String::new();
            let _ = stream.read_to_string(&mut heard).and_then(|_| stream.write_all(heard.to_uppercase().as_bytes()));
        }
    });
    port
}

#[test]
fn the_hosts_loopback_is_reached_only_where_it_is_listed() {
    let server = Server::start();
    let (listed, other) = (shout(), shout());
    deploy(&server, "named", "m.py", &format!("egress = ['host.mote:{listed}']"), TRY);
    deploy(&server, "numbered", "m.py", &format!("egress = ['127.0.0.1:{listed}']"), TRY);
    deploy(&server, "free", "m.py", "", TRY);
    deploy(&server, "closed", "m.py", "egress = 'none'", TRY);
    for name in ["named", "numbered"] {
        assert_eq!(server.get(&format!("/{name}?host=host.mote&port={listed}&say=hello")).is(200).text(), "HELLO");
        assert_eq!(server.get(&format!("/{name}?host=host.mote&port={other}&say=hello")).is(200).text(), "ECONNRESET");
        // Its own loopback is another one.
        assert_eq!(server.get(&format!("/{name}?host=127.0.0.1&port={listed}")).is(200).text(), "ECONNREFUSED");
    }
    assert!(log(&server, "named").contains(&format!("egress denied: host.mote:{other}: no rule of `egress` allows it")));
    assert_eq!(server.get(&format!("/free?host=host.mote&port={listed}")).is(200).text(), "ECONNRESET");
    assert!(log(&server, "free").contains("egress denied: host.mote"));
    assert_eq!(server.get(&format!("/closed?host=host.mote&port={listed}")).is(200).text(), "no such name");
    // mote's own doors are no exception.
    for door in ["public", "control", "aws"] {
        let port = server.address(door).rsplit_once(':').expect("host and port").1;
        assert_eq!(server.get(&format!("/free?host=host.mote&port={port}")).is(200).text(), "ECONNRESET");
    }
}

#[test]
fn addresses_that_are_not_public_are_refused_and_logged() {
    let server = Server::start();
    deploy(&server, "free", "m.py", "", TRY);
    let kinds = [("169.254.169.254", "link-local"), ("10.0.0.1", "private"), ("100.64.0.1", "private"), ("198.51.100.1", "reserved")];
    for (address, kind) in kinds {
        assert_eq!(server.get(&format!("/free?host={address}&port=80")).is(200).text(), "ECONNRESET", "{address}");
        let line = format!("egress denied: {address}:80: `egress` is \"public\", and {address} is {kind}");
        until("the denial is logged", || log(&server, "free").contains(&line));
    }
    // No IPv6 but loopback's.
    assert_eq!(server.get("/free?host=2001:db8::1&port=80").is(200).text(), "ENETUNREACH");
    deploy(&server, "listed", "m.py", "egress = ['*.example.com:443', '10.1.0.0/16:5432']", TRY);
    for address in ["93.184.216.34", "10.2.0.1"] {
        assert_eq!(server.get(&format!("/listed?host={address}&port=443")).is(200).text(), "ECONNRESET", "{address}");
    }
    assert_eq!(server.get("/listed?host=other.example.org&port=443").is(200).text(), "no such name");
    until("both are logged", || {
        let log = log(&server, "listed");
        log.contains("egress denied: 93.184.216.34:443: no rule of `egress` allows it")
            && log.contains("egress denied: other.example.org: no rule of `egress` has that name")
    });
}

#[test]
fn names_are_answered_whoever_is_asked_for_them() {
    let server = Server::start();
    let code = r#"
import socket, struct

def ask(server, name, kind, stream=False):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    message = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
    if stream:
        with socket.create_connection((server, 53)) as connection:
            connection.sendall(struct.pack("!H", len(message)) + message)
            reply = connection.recv(4096)[2:]
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(30)
            asking.connect((server, 53))
            asking.send(message)
            reply = asking.recv(4096)
    code, count = reply[3] & 15, struct.unpack("!H", reply[6:8])[0]
    return [code, reply[-4:].hex() if count and kind == 1 else count]

def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(30)
        other.connect(("8.8.8.8", port))
        try:
            other.send(b"x")
            return other.recv(1).hex()
        except ConnectionRefusedError:
            return "refused"

def f():
    return {
        "own": ask("127.0.0.1", "names", 1),
        "elsewhere": ask("8.8.8.8", "names", 1),
        "stream": ask("8.8.8.8", "names", 1, stream=True),
        "six": ask("8.8.8.8", "names", 28),
        "nobody": ask("8.8.8.8", "nobody", 1),
        "localhost": ask("8.8.8.8", "localhost", 1),
        "reverse": socket.gethostbyaddr(socket.gethostbyname("names"))[0],
        "from": socket.gethostbyname("names"),
        "other datagrams": udp(123),
    }
"#;
    deploy(&server, "names", "m.py", "egress = 'none'", code);
    let own: Value = json!([0, "c6120001"]);
    let expect = json!({
        "own": own, "elsewhere": own, "stream": own, "six": [0, 0], "nobody": [3, 0], "localhost": [0, "7f000001"],
        "reverse": "names", "from": "198.18.0.1", "other datagrams": "refused",
    });
    assert_eq!(server.get("/names").is(200).json(), expect);
}

/// The same again by somebody without any right.
#[test]
fn as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        // Then all of the above was this.
        return;
    }
    let place = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().expect("a place");
    let copy = |from: &Path, name: &str| {
        let to = place.path().join(name);
        std::fs::copy(from, &to).expect("a copy");
        to
    };
    let test = copy(&std::env::current_exe().expect("this file"), "test");
    let mote = copy(Path::new(env!("CARGO_BIN_EXE_mote")), "mote");
    let work = place.path().join("work");
    std::fs::create_dir(&work).expect("a directory");
    std::os::unix::fs::chown(&work, Some(65534), Some(65534)).expect("root may");
    let run = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&test)
        .args(["network::", "--skip", "as_an_ordinary_user"])
        .env(COPY, &mote)
        .env("TMPDIR", &work)
        .env("HOME", &work)
        // root's own interpreters are not for everybody.
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("setpriv runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("6 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}
