//! One call each: source, request, answer.

use super::*;

/// Function, query, content type and body, expected answer. A `…` at the end is any text.
type Case = (&'static str, &'static str, (&'static str, &'static str), &'static str);

const NONE: (&str, &str) = ("", "");

const fn json_body(text: &'static str) -> (&'static str, &'static str) {
    ("application/json", text)
}

const fn form(text: &'static str) -> (&'static str, &'static str) {
    ("application/x-www-form-urlencoded", text)
}

const MULTIPART: (&str, &str) = (
    "multipart/form-data; boundary=\"b b\"",
    "--b b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b b\r\ncontent-disposition: form-data; name=\"b\"; \
     filename=\"x;y\"\r\nContent-Type: text/plain\r\n\r\nfile\r\ntext\r\n--b b--\r\n",
);

fn check(interpreter: &Arc<Interpreter>, file: &str, source: &str, cases: &[Case]) {
    let bench = Bench::new(interpreter, &[(file, source)]);
    let mut failed = Vec::new();
    let mut names: Vec<&str> = cases.iter().map(|case| case.0).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let mut runner = bench.start(&format!("{file}:{name}"), 1);
        for (_, query, (content_type, body), expect) in cases.iter().filter(|case| case.0 == name) {
            let found = runner.call(&head(query, content_type), body.as_bytes()).shown();
            let fits = expect.strip_suffix('…').map_or(found == *expect, |start| found.starts_with(start));
            if !fits {
                failed.push(format!("{name}({query} {body})\n   found {found}\n  wanted {expect}"));
            }
        }
    }
    assert!(failed.is_empty(), "with {} {}:\n{}", file, interpreter.version, failed.join("\n"));
}

const PYTHON: &str = r#"
from __future__ import annotations
import dataclasses, datetime, decimal, enum, sys, typing, uuid
from typing import Iterator, List, Dict, Optional, Union, Literal, TypedDict

class Colour(enum.Enum):
    RED = "red"
    BLUE = 2

@dataclasses.dataclass
class Item:
    sku: str
    count: int = 1
    parts: Optional[List[Item]] = None

@dataclasses.dataclass
class Tagged:
    kind: typing.ClassVar[str] = "tagged"
    seed: dataclasses.InitVar[int] = 1
    id: int = 2

class Point(TypedDict):
    x: float

def formula(a: float, b: float, c: float) -> float:
    return (a + b) * c
def plain(a, b=2, c=None, d="x", e=True): return [a, b, c, d, e]
def tagged(): return Tagged()
def typed(i: int = 0, f: float = 0.0, s: str = "", b: bool = False, raw: bytes = b""): return [i, f, s, b, raw.decode()]
def optional(a: Optional[int] = 5, b: int | None = None): return [a, b]
def union(a: Union[int, str]): return a
def choice(a: Literal["x", "y", 3]): return a
def colour(a: Colour): return a.name
def times(a: datetime.datetime, b: datetime.date, c: datetime.time): return [a, b, c]
def precise(a: decimal.Decimal, b: uuid.UUID): return [str(a), b]
def listed(a: list[int], b: Dict[str, float] = {}): return [a, b]
def item(item: Item): return item
def point(p: Point, other=0): return [p, other]
def keyword(a, *args, b: int, **rest): return [a, list(args), b, rest]
def positional(a: int, b: int = 7, /, c: int = 8): return [a, b, c]
def unknown(a: NotThere, b: "int"): return [a, b]
def text(): return "häh"
def raw(): return b"\x00\x01"
def none(): pass
def nan(): return float("nan")
def strange(): return object()
def sets(): return {"s": {1}, "t": (1, 2), "d": decimal.Decimal("1.5"), "e": Colour.RED, "at": datetime.date(2024, 1, 2)}
def whole(): return {"status": 418, "headers": {"x-a": "1", "Content-Type": "text/tea"}, "body": "short"}
def created(): return {"status": 201, "body": {"a": 1}}
def bare(): return {"status": 204}
def more(): return {"status": 204, "body": "", "extra": 1}
def bad_header(): return {"status": 200, "headers": {"x": "a\r\nb: c"}}
def gen():
    yield "a"
    yield "b"
def lines():
    yield {"a": 1}
    yield 2
def early():
    raise ValueError("before")
    yield
def empty():
    return
    yield
def fails(): raise KeyError("k")
def leaves(): sys.exit(3)
def body_bytes(body): return [type(body).__name__, len(body)]
def body_text(body: str, a: int = 0): return body + str(a)
def body_dict(body: dict): return body
def event(event): return [event.get("type"), event["data"]]
def context(context): return [context.id, context.attempt, context.function, context.version, context.remaining_ms() > 0]
async def slow(a: int): return a + 1
async def agen():
    yield b"1"
    yield b"2"
async def araises(): raise RuntimeError("async")
"#;

const PYTHON_CASES: &[Case] = &[
    ("formula", "a=1&b=2&c=3", NONE, "application/json 9.0"),
    ("formula", "a=1", json_body(r#"{"a":9,"b":2,"c":3}"#), "application/json 9.0"),
    ("formula", "", form("a=1&b=2&c=3.5"), "application/json 10.5"),
    ("formula", "", form(r#"{"a":1,"b":2,"c":3}"#), "application/json 9.0"),
    ("formula", "", ("", r#"{"a":1,"b":2,"c":3}"#), "application/json 9.0"),
    ("formula", "a=1&b=2", json_body("3"), "application/json 9.0"),
    ("formula", "a=1&b=2", NONE, "!argument-missing the argument \"c\" is missing, wanted a number"),
    ("formula", "a=one&b=2&c=3", NONE, "!argument-invalid the argument \"a\" is \"one\", wanted a number"),
    ("formula", "a=1&b=2", json_body(r#"{"c":[1]}"#), "!argument-invalid the argument \"c\" is [1], wanted a number"),
    ("formula", "a=1&b=2", json_body("{"), "!body-invalid the body is not JSON…"),
    ("plain", "a=1", NONE, "application/json [1,2,null,\"x\",true]"),
    ("plain", "a=007&b=3&c=12345678901234567890&d=5&e=off", NONE, "application/json [\"007\",3,12345678901234567890,\"5\",false]"),
    ("plain", "a=true&c=null&b=1.5", NONE, "application/json [true,1.5,null,\"x\",true]"),
    ("plain", "a=1.50&c=%5B%5D", NONE, "application/json [\"1.50\",2,\"[]\",\"x\",true]"),
    ("plain", "", json_body(r#"{"a":[1],"c":{"d":1}}"#), "application/json [[1],2,{\"d\":1},\"x\",true]"),
    ("plain", "a=a+b%2Bc&b=x", NONE, "!argument-invalid the argument \"b\" is \"x\", wanted a number"),
    ("typed", "i=5&f=nan&s=7&b=yes&raw=%C3%A4", NONE, "!reply-invalid the result can't be sent as JSON: NaN…"),
    ("typed", "i=-5&f=1e3&s=7&b=yes&raw=%C3%A4", NONE, "application/json [-5,1000.0,\"7\",true,\"ä\"]"),
    ("typed", "i=1_000", NONE, "!argument-invalid the argument \"i\" is \"1_000\", wanted an integer"),
    ("typed", "", json_body(r#"{"i":true}"#), "!argument-invalid the argument \"i\" is true, wanted an integer"),
    ("typed", "", json_body(r#"{"i":2.0,"f":3,"b":1}"#), "application/json [2,3.0,\"\",true,\"\"]"),
    ("typed", "", json_body(r#"{"s":5}"#), "!argument-invalid the argument \"s\" is 5, wanted a string"),
    ("typed", "b=maybe", NONE, "!argument-invalid the argument \"b\" is \"maybe\", wanted a boolean (true or false)"),
    ("optional", "", NONE, "application/json [5,null]"),
    ("optional", "a=&b=3", NONE, "application/json [null,3]"),
    ("optional", "", json_body(r#"{"a":null,"b":4}"#), "application/json [null,4]"),
    ("union", "a=5", NONE, "application/json 5"),
    ("union", "a=x", NONE, "text/plain; charset=utf-8 x"),
    ("union", "", json_body(r#"{"a":"5"}"#), "text/plain; charset=utf-8 5"),
    ("choice", "a=3", NONE, "application/json 3"),
    ("choice", "a=z", NONE, "!argument-invalid the argument \"a\" is \"z\", wanted one of \"x\", \"y\", 3"),
    ("colour", "a=red", NONE, "text/plain; charset=utf-8 RED"),
    ("colour", "a=BLUE", NONE, "text/plain; charset=utf-8 BLUE"),
    ("colour", "a=2", NONE, "text/plain; charset=utf-8 BLUE"),
    ("colour", "a=green", NONE, "!argument-invalid the argument \"a\" is \"green\", wanted one of \"red\", 2"),
    (
        "times",
        "a=2024-01-02T03:04:05Z&b=2024-01-02&c=03:04",
        NONE,
        "application/json [\"2024-01-02T03:04:05+00:00\",\"2024-01-02\",\"03:04:00\"]",
    ),
    ("times", "a=yesterday&b=2024-01-02&c=03:04", NONE, "!argument-invalid the argument \"a\" is \"yesterday\", wanted a date and time…"),
    ("precise", "a=1.10&b=12345678123456781234567812345678", NONE, "application/json [\"1.10\",\"12345678-1234-5678-1234-567812345678\"]"),
    ("precise", "a=x&b=y", NONE, "!argument-invalid the argument \"a\" is \"x\", wanted a decimal number"),
    ("listed", "a=1&a=2", NONE, "application/json [[1,2],{}]"),
    ("listed", "a=[3,4]", json_body(r#"{"b":{"k":1}}"#), "application/json [[3,4],{\"k\":1.0}]"),
    ("listed", "", json_body(r#"{"a":[1,"x"]}"#), "!argument-invalid the argument \"a[1]\" is \"x\", wanted an integer"),
    ("listed", "", json_body("[1,2]"), "application/json [[1,2],{}]"),
    (
        "item",
        "",
        json_body(r#"{"item":{"sku":"a","parts":[{"sku":"b"}]}}"#),
        "application/json {\"sku\":\"a\",\"count\":1,\"parts\":[{\"sku\":\"b\",\"count\":1,\"parts\":null}]}",
    ),
    ("item", "", json_body(r#"{"sku":"a","count":"2"}"#), "application/json {\"sku\":\"a\",\"count\":2,\"parts\":null}"),
    ("item", "", json_body(r#"{"item":{}}"#), "!argument-invalid the argument \"item.sku\" is nothing, wanted a string"),
    ("point", "other=1", json_body(r#"{"p":{"x":1,"y":2}}"#), "application/json [{\"x\":1.0},1]"),
    ("keyword", "a=1&b=2&z=3", json_body(r#"{"y":[]}"#), "application/json [1,[],2,{\"y\":[],\"z\":3}]"),
    ("positional", "a=1&c=3", NONE, "application/json [1,7,3]"),
    ("unknown", "a=x&b=2", NONE, "application/json [\"x\",2]"),
    ("text", "ignored=1", NONE, "text/plain; charset=utf-8 häh"),
    ("raw", "", NONE, "application/octet-stream \u{0}\u{1}"),
    ("none", "", NONE, "application/json null"),
    ("nan", "", NONE, "!reply-invalid the result can't be sent as JSON: NaN and Infinity have no JSON"),
    ("strange", "", NONE, "!reply-invalid the result can't be sent as JSON: an object of type object"),
    ("sets", "", NONE, "application/json {\"s\":[1],\"t\":[1,2],\"d\":1.5,\"e\":\"red\",\"at\":\"2024-01-02\"}"),
    ("whole", "", NONE, "418 text/tea [[\"x-a\",\"1\"]] short"),
    ("created", "", NONE, "201 application/json {\"a\":1}"),
    ("bare", "", NONE, "application/json {\"status\":204}"),
    ("more", "", NONE, "application/json {\"status\":204,\"body\":\"\",\"extra\":1}"),
    ("bad_header", "", NONE, "!reply-invalid a header of the reply holds a line break"),
    ("gen", "", NONE, "text/plain; charset=utf-8 ab"),
    ("lines", "", NONE, "application/x-ndjson {\"a\":1}\n2\n"),
    ("early", "", NONE, "!ValueError before"),
    ("empty", "", NONE, "application/octet-stream "),
    ("fails", "", NONE, "!KeyError 'k'"),
    ("leaves", "", NONE, "!SystemExit 3"),
    ("body_bytes", "", ("image/png", "12345"), "application/json [\"bytes\",5]"),
    ("body_text", "a=1", ("text/plain", "x"), "text/plain; charset=utf-8 x1"),
    ("body_dict", "", json_body(r#"{"a":1}"#), "application/json {\"a\":1}"),
    ("body_dict", "", json_body("[1]"), "!argument-invalid the argument \"body\" is [1], wanted an object"),
    ("event", "", json_body(r#"{"a":1}"#), "application/json [null,{\"a\":1}]"),
    ("context", "", NONE, "application/json [\"call-1\",1,\"my-fn\",3,true]"),
    ("slow", "a=1", NONE, "application/json 2"),
    ("tagged", "", NONE, "application/json {\"id\":2}"),
    ("plain", "", json_body(r#"{"a":NaN}"#), "!body-invalid the body is not JSON: it holds NaN"),
    ("plain", "a=-Infinity", NONE, "application/json [\"-Infinity\",2,null,\"x\",true]"),
    ("slow", "", NONE, "!argument-missing the argument \"a\" is missing, wanted an integer"),
    ("agen", "", NONE, "application/octet-stream 12"),
    ("araises", "", NONE, "!RuntimeError async"),
    ("plain", "", MULTIPART, "!argument-invalid the argument \"b\" is bytes, wanted a number"),
    (
        "typed",
        "",
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"s\"\r\n\r\nhi\r\n--x--"),
        "application/json [0,0.0,\"hi\",false,\"\"]",
    ),
    ("typed", "", ("multipart/form-data; boundary=x", "--x\r\nContent"), "!body-invalid the multipart body has no end…"),
];

#[test]
fn json_that_nests_too_deeply_is_the_callers_fault() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for interpreter in pythons() {
        let bench = Bench::new(interpreter, &[("f.py", "def f(a: list): pass\ndef g(event): return type(event['data']).__name__\n")]);
        let mut runner = bench.start("f.py:f", 1);
        let by_body = runner.call(&head("", "application/json"), deep.as_bytes()).shown();
        assert_eq!(by_body, "!body-invalid the body is not JSON: it is nested too deeply", "{}", interpreter.version);
        let by_query = runner.call(&head(&format!("a={deep}"), ""), b"").shown();
        assert!(by_query.starts_with("!argument-invalid the argument \"a\" is"), "{by_query}");
        let event = bench.start("f.py:g", 1).call(&head("", "application/json"), deep.as_bytes()).shown();
        assert_eq!(event, "text/plain; charset=utf-8 bytes");
    }
}

#[test]
fn python_calls() {
    for interpreter in pythons() {
        check(interpreter, "cases.py", PYTHON, PYTHON_CASES);
    }
}

const NODE: &str = r#"
export function formula(a: number, b: number, c: number): number { return (a + b) * c; }
export function plain(a, b = 2, c = null, d = 'x', e = true) { return [a, b, c, d, e]; }
export const optional = (a?: number, b: string | null = 'd') => [a ?? 'none', b];
export function union(a: number | string) { return JSON.stringify(a); }
export function choice(a: 'x' | 'y' | 3) { return [a]; }
export function date(a: Date) { return a; }
export function big(a: bigint) { return { a, more: a * 10n }; }
export function listed(a: number[], b: Record<string, number> = {}) { return [a, b]; }
export function item(item: { sku: string }) { return item; }
export function destructured({ a, b = 'x', ...rest }: { a: number, b?: string }) { return [a, b, rest]; }
export const wrapped = ((f) => f)((all, context) => [all, context.id]);
export const text = () => 'häh';
export const raw = () => new Uint8Array([0, 1]);
export const none = () => {};
export const nan = () => [NaN];
export const strange = () => { const a: any = {}; a.a = a; return a; };
export const func = () => () => 1;
export const map = () => new Map<string, unknown>([['a', new Set([1])], ['e', 5n]]);
export const whole = () => ({ status: 418, headers: { 'x-a': '1', 'Content-Type': 'text/tea' }, body: 'short' });
export const created = async () => ({ status: 201, body: { a: 1 } });
export const bare = () => ({ status: 204 });
export const badHeader = () => ({ status: 200, headers: { x: 'a\r\nb: c' } });
export const response = () => new Response('hi', { status: 202, headers: { 'x-b': '2', 'content-type': 'text/hi' } });
export function* gen() { yield 'a'; yield 'b'; }
export async function* lines() { yield { a: 1 }; yield 2; }
export async function* early() { throw new TypeError('before'); }
export function* empty() {}
export const stream = () => new ReadableStream({ start(c) { c.enqueue(new Uint8Array([49])); c.close(); } });
export function fails() { throw new RangeError('r'); }
export function odd() { throw 'text'; }
export const rejects = async () => { throw new Error('late'); };
export const timer = () => new Promise(() => setTimeout(() => { throw new Error('loose'); }, 1));
export function bodyBytes(body) { return [Buffer.isBuffer(body), body.length]; }
export function bodyText(body: string, a = 0) { return body + a; }
export function bodyObject(body: object) { return body; }
export function event(event) { return [event.type ?? null, event.data]; }
export function context(context) { return [context.id, context.attempt, context.function, context.version, context.remainingMs() > 0]; }
/** @param {any} a */
export default function ignored(a) { return a; }
"#;

const NODE_CASES: &[Case] = &[
    ("formula", "a=1&b=2&c=3", NONE, "application/json 9"),
    ("formula", "a=1", json_body(r#"{"a":9,"b":2,"c":3}"#), "application/json 9"),
    ("formula", "", form("a=1&b=2&c=3.5"), "application/json 10.5"),
    ("formula", "", form(r#"{"a":1,"b":2,"c":3}"#), "application/json 9"),
    ("formula", "a=1&b=2", json_body("3"), "application/json 9"),
    ("formula", "a=1&b=2", NONE, "!argument-missing the argument \"c\" is missing, wanted a number"),
    ("formula", "a=one&b=2&c=3", NONE, "!argument-invalid the argument \"a\" is \"one\", wanted a number"),
    ("formula", "a=1&b=2", json_body("{"), "!body-invalid the body is not JSON…"),
    ("plain", "a=1", NONE, "application/json [1,2,null,\"x\",true]"),
    ("plain", "a=007&b=3&c=12345678901234567890&d=5&e=off", NONE, "application/json [\"007\",3,\"12345678901234567890\",\"5\",false]"),
    ("plain", "a=a+b%2Bc&b=x", NONE, "!argument-invalid the argument \"b\" is \"x\", wanted a number"),
    ("plain", "a=%zz", NONE, "application/json [\"%zz\",2,null,\"x\",true]"),
    ("optional", "", NONE, "application/json [\"none\",\"d\"]"),
    ("optional", "a=3&b=null", NONE, "application/json [3,\"null\"]"),
    ("union", "a=5", NONE, "text/plain; charset=utf-8 5"),
    ("union", "a=x", NONE, "text/plain; charset=utf-8 \"x\""),
    ("union", "", json_body(r#"{"a":"5"}"#), "text/plain; charset=utf-8 \"5\""),
    ("choice", "a=3", NONE, "application/json [3]"),
    ("choice", "a=z", NONE, "!argument-invalid the argument \"a\" is \"z\", wanted one of \"x\", \"y\", 3"),
    ("date", "a=2024-01-02", NONE, "application/json \"2024-01-02T00:00:00.000Z\""),
    ("date", "a=never", NONE, "!argument-invalid the argument \"a\" is \"never\", wanted a date"),
    ("big", "a=9007199254740993", NONE, "application/json {\"a\":\"9007199254740993\",\"more\":\"90071992547409930\"}"),
    ("listed", "a=1&a=2", NONE, "application/json [[1,2],{}]"),
    ("listed", "a=[3,4]", json_body(r#"{"b":{"k":1}}"#), "application/json [[3,4],{\"k\":1}]"),
    ("listed", "", json_body(r#"{"a":[1,"x"]}"#), "!argument-invalid the argument \"a[1]\" is \"x\", wanted a number"),
    ("item", "", json_body(r#"{"sku":"a"}"#), "application/json {\"sku\":\"a\"}"),
    ("destructured", "a=1&z=2", json_body(r#"{"y":3}"#), "application/json [1,\"x\",{\"y\":3,\"z\":2}]"),
    ("destructured", "", NONE, "!argument-missing the argument \"a\" is missing, wanted a number"),
    ("wrapped", "a=1", json_body(r#"{"b":"2"}"#), "application/json [{\"b\":\"2\",\"a\":1},\"call-1\"]"),
    ("text", "ignored=1", NONE, "text/plain; charset=utf-8 häh"),
    ("raw", "", NONE, "application/octet-stream \u{0}\u{1}"),
    ("none", "", NONE, "application/json null"),
    ("nan", "", NONE, "!reply-invalid the result can't be sent as JSON: NaN has no JSON"),
    ("strange", "", NONE, "!reply-invalid the result can't be sent as JSON: Converting circular structure to JSON"),
    ("func", "", NONE, "!reply-invalid the result can't be sent as JSON: a function"),
    ("map", "", NONE, "application/json {\"a\":[1],\"e\":5}"),
    ("whole", "", NONE, "418 text/tea [[\"x-a\",\"1\"]] short"),
    ("created", "", NONE, "201 application/json {\"a\":1}"),
    ("bare", "", NONE, "application/json {\"status\":204}"),
    ("badHeader", "", NONE, "!reply-invalid a header of the reply holds a line break"),
    ("response", "", NONE, "202 text/hi [[\"x-b\",\"2\"]] hi"),
    ("gen", "", NONE, "text/plain; charset=utf-8 ab"),
    ("lines", "", NONE, "application/x-ndjson {\"a\":1}\n2\n"),
    ("early", "", NONE, "!TypeError before"),
    ("empty", "", NONE, "application/octet-stream "),
    ("stream", "", NONE, "application/octet-stream 1"),
    ("fails", "", NONE, "!RangeError r"),
    ("odd", "", NONE, "!string text"),
    ("rejects", "", NONE, "!Error late"),
    ("timer", "", NONE, "!Error loose"),
    ("bodyBytes", "", ("image/png", "12345"), "application/json [true,5]"),
    ("bodyText", "a=1", ("text/plain", "x"), "text/plain; charset=utf-8 x1"),
    ("bodyObject", "", json_body(r#"{"a":1}"#), "application/json {\"a\":1}"),
    ("bodyObject", "", json_body("[1]"), "!argument-invalid the argument \"body\" is [1], wanted an object"),
    ("event", "", json_body(r#"{"a":1}"#), "application/json [null,{\"a\":1}]"),
    ("context", "", NONE, "application/json [\"call-1\",1,\"my-fn\",3,true]"),
    ("plain", "", MULTIPART, "!argument-invalid the argument \"b\" is bytes, wanted a number"),
    ("plain", "", ("multipart/form-data; boundary=x", "--x\r\nContent"), "!body-invalid the multipart body has no end…"),
];

#[test]
fn node_calls() {
    check(&node(), "cases.ts", NODE, NODE_CASES);
}

/// The entry without a function's name, and what READY or START_FAILED says.
fn started(interpreter: &Arc<Interpreter>, file: &str, source: &str) -> String {
    let bench = Bench::new(interpreter, &[(file, source)]);
    let (_runner, (kind, _, payload)) = bench.open(file, 1);
    let said: Value = serde_json::from_slice(&payload).unwrap();
    if kind == 65 { format!("!{}: {}", said["type"].as_str().unwrap(), said["message"].as_str().unwrap()) } else { said.to_string() }
}

#[test]
fn the_entry_is_found_or_the_choice_is_shown() {
    let python = &pythons()[0];
    let ready = r#"{"doc":"","parameters":[],"returns":""}"#;
    let check = |interpreter, file, source, expect: &str| assert_eq!(started(interpreter, file, source), expect, "{source}");
    check(python, "app.py", "def app(): pass\ndef b(): pass", ready);
    check(python, "app.py", "def my_fn(): pass\ndef b(): pass", ready);
    check(python, "app.py", "def handler(): pass\ndef b(): pass", ready);
    check(python, "app.py", "from json import dumps\ndef only(): pass\ndef _hidden(): pass", ready);
    check(python, "json.py", "def json(): pass", ready);
    check(python, "my-fn.py", "def my_fn(): pass", ready);
    let several = "!EntryNotFound: app.py defines several functions (a, b); name the one to call in mote.toml with entry = \"app.py:a\"";
    check(python, "app.py", "def a(): pass\ndef b(): pass", several);
    check(python, "app.py", "raise ValueError('at load')", "!ValueError: at load");
    assert!(started(python, "app.py", "def a(:").starts_with("!SyntaxError"));
    let node = &node();
    check(node, "app.js", "module.exports = () => 1", ready);
    check(node, "app.js", "export default () => 1; export const b = () => 2;", ready);
    check(node, "app.mjs", "export const myFn = () => 1; export const b = () => 2;", ready);
    check(node, "app.cjs", "exports.handler = () => 1; exports.b = () => 2;", ready);
    let several = "!EntryNotFound: app.mjs exports several functions (a, b); name the one to call in mote.toml with entry = \"app.mjs:a\"";
    check(node, "app.mjs", "export const a = () => 1; export const b = () => 2;", several);
    check(node, "app.js", "throw new TypeError('at load')", "!TypeError: at load");
}

#[test]
fn the_signature_is_told() {
    let expect = json!({
        "parameters": [
            {"name": "a", "type": "number", "required": true},
            {"name": "n", "type": "number", "required": false, "default": 3},
            {"name": "body", "type": "string", "required": false},
            {"name": "context", "type": "", "required": false},
        ],
        "returns": "string",
        "doc": "Does it. Well.",
    });
    let python = "def f(a: float, body: bytes, context, n=3) -> 'string':\n    \"\"\"Does it.\n    Well.\n\n    More.\"\"\"\n";
    let node = "/** Does it.\n * Well.\n *\n * More. */\nexport function f(a: number, body: Buffer, context, n = 3): string { return '' }";
    let sorted = |interpreter, file, source: &str| {
        let bench = Bench::new(interpreter, &[(file, source)]);
        let mut signature = bench.start(file, 1).signature.clone();
        let rank = |one: &Value| (one["required"] == false, one["name"].as_str().unwrap().len());
        signature["parameters"].as_array_mut().unwrap().sort_by_key(rank);
        signature
    };
    for interpreter in pythons() {
        assert_eq!(sorted(interpreter, "f.py", python), expect, "{}", interpreter.version);
    }
    assert_eq!(sorted(&self::node(), "f.ts", node), expect);
}
