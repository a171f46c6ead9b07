//! The runner's own way to Python's JSON beside the standard module's: the same values, texts and refusals.

use super::*;

/// Prints what differs.
const COMPARISON: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
from mote_runner import quick_json
assert "json" not in sys.modules, "it brings the standard module along"
try:
    print("decode {", quick_json.loads("{"))
except ValueError:
    import json

def outcome(call, *arguments):
    try:
        return repr(call(*arguments))
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)

def no(name):
    raise ValueError("it holds %s" % name)

texts = ["1", " 1", "\t[1, 2]\r\n", "{}", "", " ", "nul", "null", "NaN", "-Infinity", "[Infinity]", "1 2", "[1,]", "{\"a\":1,\"a\":2}", "\"\\ud800\"",
         "\"\x01\"", "1e999", "-0", "0.1", "9" * 400, "\ufeff1", "\u00a01", "[" * 50 + "]" * 50, "{\"a\" : [true, false, null, \"\\u00e9\"]}", "[" * 9, "\"", "01", "1.", "tru"]
for text in texts:
    for ours, theirs in ((quick_json.loads, json.JSONDecoder().decode), (quick_json.decoder(no), json.JSONDecoder(parse_constant=no).decode)):
        if outcome(ours, text) != outcome(theirs, text):
            print("decode", repr(text), outcome(ours, text), outcome(theirs, text))

circle = []
circle.append(circle)
class Text(str): pass
class Whole(int): pass
values = [None, True, 1, -0.0, 1e22, float("nan"), float("inf"), "é\u2028\"", Text("t"), Whole(7), [], {}, (1, [2, {"a": ()}]), {1: 2, None: 3, True: 4, 1.5: 5},
          {"é": "ü"}, {(1,): 2}, object(), b"x", circle, {"a": {1, 2}}, "\ud800", 10 ** 30]
for value in values:
    for item, key, ascii, nan, default in ((", ", ": ", True, True, None), (",", ":", False, False, sorted), (",", ":", False, True, None)):
        ours = quick_json.encoder(item, key, ascii, nan, default)
        theirs = json.JSONEncoder(separators=(item, key), ensure_ascii=ascii, allow_nan=nan, default=default).encode
        if outcome(ours, value) != outcome(theirs, value):
            print("encode", repr(value), outcome(ours, value), outcome(theirs, value))
"#;

#[test]
fn it_reads_and_writes_what_the_standard_module_does() {
    for interpreter in pythons() {
        let bench = Bench::new(interpreter, &[]);
        let command = command(&bench.directory.path().join("runner"), interpreter);
        let place = bench.directory.path().join("runner/python");
        let ran = Command::new(&command[0]).args(["-I", "-S", "-c", COMPARISON]).arg(place).output().unwrap();
        let told = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(ran.status.success() && told.concat().is_empty(), "Python {}: {}", interpreter.version, told.concat());
    }
}

/// They stand where the standard module looks for its own parts.
#[test]
fn a_functions_own_modules_break_no_answer() {
    for interpreter in pythons() {
        let code = "def f(day): return day\ndef g(all: list): return all\n";
        let bench =
            Bench::new(interpreter, &[("f.py", code), ("types.py", "here = True\n"), ("json.py", "raise OSError('not this one')\n")]);
        let told = bench.start("f.py:f", 1).call(&head("day=2024-01-01", ""), b"").shown();
        assert!(told.contains("2024-01-01"), "Python {}: {told}", interpreter.version);
        let told = bench.start("f.py:g", 1).call(&head("", "application/json"), b"{").shown();
        assert!(told.starts_with("!body-invalid the body is not JSON"), "Python {}: {told}", interpreter.version);
    }
}
