//! Bodies under the window, several calls at a time, cancelled calls, whose output is whose.

use super::*;

const WINDOW: usize = 256 << 10;

const PYTHON: &str = r#"
import asyncio, os, sys, threading
from typing import AsyncIterator, Iterator

def big(n: int): return b"x" * n
def size(body: bytes): return len(body)
def sync_echo(body: Iterator[bytes]):
    for chunk in body: yield chunk
async def echo(body: AsyncIterator[bytes]):
    async for chunk in body: yield chunk
def forever():
    while True: yield b"x" * 1000
async def waits():
    print("begun", flush=True)
    await asyncio.sleep(1000)
gate = threading.Barrier(3)
def sync_meet(n: int):
    print("hello", n)
    gate.wait(10)
    thread = threading.Thread(target=lambda: print("thread", n))
    thread.start()
    thread.join()
    gate.wait(10)
    print("half", n, end="")
    return n
async def meet(n: int):
    print("hello", n)
    await asyncio.sleep(0.01)
    await asyncio.get_running_loop().run_in_executor(None, print, "thread", n)
    print("half", n, end="")
    return n
def crowd(n: int):
    def speak(who):
        for i in range(n): sys.stdout.write("%d of %d\n" % (i, who))
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=speak, args=(who,)) for who in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
def prints():
    import logging
    print("to out")
    print("to err", file=sys.stderr)
    sys.stdout.buffer.write(b"raw\n")
    logging.getLogger("x").warning("logged")
def dies():
    print("last words")
    os._exit(7)
"#;

const NODE: &str = r#"
export function big(n: number) { return Buffer.alloc(n, 'x'); }
export function size(body: Uint8Array) { return body.length; }
export async function* echo(body: ReadableStream) { for await (const chunk of body) yield chunk; }
export function* forever() { for (;;) yield Buffer.alloc(1000, 'x'); }
export async function waits() { console.log('begun'); await new Promise((r) => setTimeout(r, 1e6)); }
export async function meet(n: number) {
  console.log('hello', n);
  await new Promise((r) => setTimeout(r, 10));
  console.log('thread', n);
  process.stdout.write(`half ${n}`);
  return n;
}
export function prints() { console.log('to out'); console.error('to err'); process.stdout.write('raw\n'); console.warn('logged'); }
export function dies() { console.log('last words'); process.exit(7); }
"#;

fn each(check: impl Fn(&dyn Fn(&str, u32) -> Runner, Family)) {
    for interpreter in pythons() {
        println!("Python {}", interpreter.version);
        let bench = Bench::new(interpreter, &[("s.py", PYTHON)]);
        check(&|name, concurrency| bench.start(&format!("s.py:{name}"), concurrency), Family::Python);
    }
    let bench = Bench::new(&node(), &[("s.ts", NODE)]);
    check(&|name, concurrency| bench.start(&format!("s.ts:{name}"), concurrency), Family::Node);
}

#[test]
fn a_big_reply_waits_for_credit() {
    each(|start, _| {
        let mut runner = start("big", 1);
        let size = 3 << 20;
        runner.send(2, 7, &payload(&head(&format!("n={size}"), ""), b""));
        assert_eq!(runner.receive().0, 67);
        let mut got = 0;
        while got < WINDOW {
            let (kind, _, chunk) = runner.receive();
            assert_eq!(kind, 68);
            got += chunk.len();
        }
        assert_eq!(got, WINDOW, "not a byte beyond the window");
        runner.send(8, 7, &((size - WINDOW) as u32).to_le_bytes());
        assert_eq!(runner.finish(7).body.len(), size - WINDOW);
        assert_eq!(runner.call(&head("n=5", ""), b"").body, b"xxxxx", "and the next call is a call like any other");
    });
}

#[test]
fn a_big_body_arrives_whole() {
    each(|start, _| {
        let mut runner = start("size", 1);
        runner.send(3, 7, &payload(&head("", ""), &[1; 1000]));
        let mut credit = WINDOW;
        for _ in 0..40 {
            while credit < 60_000 {
                let (kind, id, payload) = runner.receive();
                assert_eq!((kind, id), (72, 7));
                credit += u32::from_le_bytes(payload[..].try_into().unwrap()) as usize;
            }
            runner.send(4, 7, &[2; 60_000]);
            credit -= 60_000;
        }
        runner.send(5, 7, b"");
        assert_eq!(runner.finish(7).body, b"2401000");
        runner.send(3, 8, &payload(&head("", ""), b""));
        runner.send(6, 8, b"");
        assert!(runner.finish(8).failure.is_some(), "a body that was cut off is no body");
    });
}

#[test]
fn a_stream_answers_while_its_body_comes() {
    each(|start, family| {
        let names: &[&str] = if family == Family::Python { &["echo", "sync_echo"] } else { &["echo"] };
        for name in names {
            let mut runner = start(name, 1);
            runner.send(3, 7, &payload(&head("", ""), b"one"));
            assert_eq!(runner.receive().0, 67);
            assert_eq!(runner.receive(), (68, 7, b"one".to_vec()));
            runner.send(4, 7, b"two");
            assert_eq!(next_but_credit(&mut runner), (68, 7, b"two".to_vec()));
            runner.send(5, 7, b"");
            assert_eq!(next_but_credit(&mut runner), (69, 7, Vec::new()));
            assert_eq!(runner.call(&head("", ""), b"whole").body, b"whole");
        }
    });
}

fn next_but_credit(runner: &mut Runner) -> Frame {
    loop {
        match runner.receive() {
            (72, ..) => {}
            other => return other,
        }
    }
}

#[test]
fn a_cancelled_call_ends_and_harms_no_other() {
    each(|start, _| {
        let mut runner = start("forever", 1);
        runner.send(2, 7, &payload(&head("", ""), b""));
        assert_eq!(runner.receive().0, 67);
        runner.send(7, 7, b"");
        assert!(runner.finish(7).failure.is_some());
        runner.send(2, 8, &payload(&head("", ""), b""));
        assert_eq!(runner.receive().0, 67, "the next one runs");
        let mut runner = start("waits", 10);
        for call in [1, 2] {
            runner.send(2, call, &payload(&head("", ""), b""));
            assert_eq!(runner.receive(), (71, call, b"\x01begun\n".to_vec()));
        }
        for call in [1, 2] {
            runner.send(7, call, b"");
            let (kind, id, _) = runner.receive();
            assert_eq!((kind, id), (70, call));
        }
    });
}

#[test]
fn what_a_call_prints_bears_its_id() {
    each(|start, family| {
        let names: &[&str] = if family == Family::Python { &["meet", "sync_meet"] } else { &["meet"] };
        for name in names {
            let mut runner = start(name, 3);
            for n in 1..=3 {
                runner.send(2, n, &payload(&head(&format!("n={n}"), ""), b""));
            }
            let (mut printed, mut replies) = (vec![String::new(); 4], 0);
            while replies < 3 {
                let (kind, id, payload) = runner.receive();
                match kind {
                    71 => printed[id as usize].push_str(std::str::from_utf8(&payload[1..]).unwrap()),
                    66 => replies += 1,
                    other => panic!("a frame of kind {other}: {}", String::from_utf8_lossy(&payload)),
                }
            }
            for (n, lines) in printed.iter().enumerate().skip(1) {
                assert_eq!(*lines, format!("hello {n}\nthread {n}\nhalf {n}"), "{name}");
            }
            assert_eq!(printed[0], "", "{name}");
        }
    });
}

#[test]
fn threads_of_one_call_print_each_line_once() {
    each(|start, family| {
        if family != Family::Python {
            return;
        }
        for concurrency in [1, 2] {
            let [out, _] = start("crowd", concurrency).call(&head("n=2000", ""), b"").logs;
            let mut lines: Vec<&str> = out.lines().collect();
            lines.sort_unstable();
            let mut wanted: Vec<String> = (0..2000).flat_map(|i| (0..4).map(move |who| format!("{i} of {who}"))).collect();
            wanted.sort_unstable();
            assert!(lines == wanted, "{} lines, {} wanted", lines.len(), wanted.len());
        }
    });
}

#[test]
fn output_goes_to_the_log_before_the_reply() {
    each(|start, _| {
        let [out, err] = start("prints", 1).call(&head("", ""), b"").logs;
        assert_eq!(out, "to out\nraw\n");
        assert!(err == "to err\nlogged\n" || err == "to err\nWARNING logged\n", "{err}");
        let mut runner = start("dies", 1);
        runner.send(2, 7, &payload(&head("", ""), b""));
        assert_eq!(runner.receive(), (71, 7, b"\x01last words\n".to_vec()), "what it said before it died");
        assert_eq!(runner.socket.read(&mut [0]).unwrap(), 0);
        assert_eq!(runner.child.wait().unwrap().code(), Some(7));
    });
}
