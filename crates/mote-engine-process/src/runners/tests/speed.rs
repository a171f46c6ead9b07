//! How fast a runner starts and answers. It prints what it measured; what it holds is only that
//! every call is answered, for a shared machine makes no promise of speed.

use std::time::Instant;

use super::*;

const IN_FLIGHT: usize = 64;
const CALLS: usize = 20_000;

const PYTHON: &str = "def f(a: float, b: float, c: float) -> float: return (a + b) * c\n\
                      async def g(a: float, b: float, c: float): return (a + b) * c\n";
const NODE: &str = "export const f = (a: number, b: number, c: number) => (a + b) * c;\n\
                    export const g = async (a: number, b: number, c: number) => (a + b) * c;\n";

fn measure(interpreter: &Arc<Interpreter>, file: &str, source: &str) {
    let bench = Bench::new(interpreter, &[(file, source)]);
    let mut starts = Vec::new();
    for _ in 0..5 {
        let before = Instant::now();
        bench.start(&format!("{file}:f"), 1);
        starts.push(before.elapsed());
    }
    starts.sort();
    let [sync, later] = [("f", 1), ("g", 64)].map(|(name, concurrency)| {
        let mut runner = bench.start(&format!("{file}:{name}"), concurrency);
        calls_per_second(&mut runner)
    });
    println!("{} {}: start {:?}, {sync:.0} calls/s sync, {later:.0} async", interpreter.family.as_str(), interpreter.version, starts[2]);
}

fn calls_per_second(runner: &mut Runner) -> f64 {
    let one = frame(2, 1, &payload(&head("a=1&b=2&c=3", ""), b""));
    let before = Instant::now();
    let (mut sent, mut got, mut buffer, mut chunk) = (0, 0, Vec::new(), vec![0; 1 << 16]);
    while got < CALLS {
        let more = (IN_FLIGHT - (sent - got)).min(CALLS - sent);
        runner.socket.write_all(&one.repeat(more)).unwrap();
        sent += more;
        let size = runner.socket.read(&mut chunk).unwrap();
        assert!(size > 0, "the runner went away");
        buffer.extend_from_slice(&chunk[..size]);
        let mut at = 0;
        while let Some(end) = buffer.get(at..at + 4).map(|size| at + 9 + u32::from_le_bytes(size.try_into().unwrap()) as usize) {
            let Some(frame) = buffer.get(at..end) else { break };
            assert_eq!(frame[4], 66, "{}", String::from_utf8_lossy(frame));
            (at, got) = (end, got + 1);
        }
        buffer.drain(..at);
    }
    CALLS as f64 / before.elapsed().as_secs_f64()
}

#[test]
fn every_one_of_many_calls_is_answered() {
    for interpreter in pythons() {
        measure(interpreter, "speed.py", PYTHON);
    }
    measure(&node(), "speed.ts", NODE);
}
