//! `context.bucket` against an endpoint that answers from a script.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

const PYTHON: &str = r#"
import os
os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:PORT"
def f(context):
    b = context.bucket("photos")
    b.put("a b/ü.txt", "hi", content_type="text/plain")
    b.delete("old")
    try:
        b.get("gone")
    except Exception as error:
        failed = [error.status, error.code, str(error)]
    return [b.get("x").decode(), list(b.list("p")), failed]
"#;

const NODE: &str = r#"
process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:PORT';
export async function f(context) {
  const b = context.bucket('photos');
  await b.put('a b/ü.txt', 'hi', { contentType: 'text/plain' });
  await b.delete('old');
  const failed = await b.get('gone').catch((error) => [error.status, error.code, error.message]);
  return [(await b.get('x')).toString(), await b.list('p'), failed];
}
"#;

/// Request line and what to answer: status and body.
const SCRIPT: &[(&str, u16, &str)] = &[
    ("PUT /photos/a%20b/%C3%BC.txt", 200, ""),
    ("DELETE /photos/old", 204, ""),
    ("GET /photos/gone", 404, "<Error><Code>NoSuchKey</Code><Message>not &lt;here&gt;</Message></Error>"),
    ("GET /photos/x", 200, "content"),
    (
        "GET /photos?list-type=2&prefix=p",
        200,
        "<R xmlns=\"s3\"><Contents><Key>p/a&amp;b</Key></Contents><NextContinuationToken>t</NextContinuationToken></R>",
    ),
    ("GET /photos?list-type=2&prefix=p&continuation-token=t", 200, "<R xmlns=\"s3\"><Contents><Key>p/c</Key></Contents></R>"),
];

#[test]
fn a_bucket_is_asked_by_its_rest_interface() {
    let expect = "application/json [\"content\",[\"p/a&b\",\"p/c\"],[404,\"NoSuchKey\",\"photos/gone: not <here> (404 NoSuchKey)\"]]";
    let runs = pythons().iter().map(|one| (Arc::clone(one), "f.py", PYTHON)).chain([(node(), "f.mjs", NODE)]);
    for (interpreter, file, source) in runs {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = source.replace("PORT", &listener.local_addr().unwrap().port().to_string());
        let endpoint = thread::spawn(move || {
            for (request, status, body) in SCRIPT {
                let found = answer(listener.accept().unwrap().0, *status, body);
                assert_eq!(found, *request);
            }
        });
        let bench = Bench::new(&interpreter, &[(file, &source)]);
        assert_eq!(bench.start(file, 1).call(&head("", ""), b"").shown(), expect, "{}", interpreter.version);
        endpoint.join().unwrap();
    }
}

fn answer(mut stream: TcpStream, status: u16, body: &str) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut request, mut line, mut size) = (String::new(), String::new(), 0);
    reader.read_line(&mut request).unwrap();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            size = value.trim().parse().unwrap();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; size]).unwrap();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
    request.trim_end().trim_end_matches(" HTTP/1.1").to_owned()
}
