//! Which limit an instance came up against, and what its caller is told of it.
//!
//! There are two witnesses. The instance's control group counts what the kernel did: it can't be
//! lied to, but not every host has it. What the process said at its end, or its runner of a failed
//! call, is the function's own word: it can mislead nobody but the function's own people.
//!
//! Not here: how a limit is set (`host.rs`, `jail/`).

use mote_core::error::Report;
use mote_core::function::{Family, Function};
use mote_core::{Code, Error};

use crate::jail::{Events, Exit};

/// A limit of a function, by its key in mote.toml; but for the one that is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Memory,
    /// There was none left beyond the function's own limit: of the host, or of a group around mote.
    HostMemory,
    Processes,
    Cpu,
    Tmp,
    OpenFiles,
    Reply,
}

impl Limit {
    /// What ended a process that was not to end.
    pub(crate) fn behind_exit(exit: Exit, events: Events, last_words: &str) -> Option<Limit> {
        match exit {
            Exit::Code(0) => None,
            // A shell words a signal of what it ran as a status.
            Exit::Signal(libc::SIGXCPU) | Exit::Code(SHELL_XCPU) => Some(Limit::Cpu),
            Exit::Signal(libc::SIGXFSZ) | Exit::Code(SHELL_XFSZ) => Some(Limit::Tmp),
            Exit::Code(_) | Exit::Signal(_) | Exit::Killed if events.killed > 0 => Some(Limit::behind_kill(events)),
            Exit::Code(_) | Exit::Signal(_) => Limit::named_in(last_words),
            Exit::Killed => None,
        }
    }

    /// What is behind a failure that the function reported, given what happened since it was looked at last.
    pub(crate) fn behind_failure(report: &Report, since: Events) -> Option<Limit> {
        if since.killed > 0 {
            return Some(Limit::behind_kill(since));
        }
        if report.kind == "MemoryError" {
            return Some(Limit::Memory);
        }
        let named = Limit::named_in(&report.kind).or_else(|| Limit::named_in(&report.message));
        named.or((since.unforked > 0).then_some(Limit::Processes))
    }

    /// Whose memory it was. On v1, one that once was at its limit and is killed for the host's want
    /// can't be told from one that is killed for its own.
    fn behind_kill(events: Events) -> Limit {
        if events.full { Limit::Memory } else { Limit::HostMemory }
    }

    /// The words of the C library, of the interpreters and of compilers' runtimes. The last line
    /// that has some is the nearest to the end.
    fn named_in(text: &str) -> Option<Limit> {
        text.lines().rev().find_map(|line| {
            let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
            if has(MEMORY) {
                return Some(Limit::Memory);
            }
            if has(TMP) {
                return Some(Limit::Tmp);
            }
            if has(OPEN_FILES) {
                return Some(Limit::OpenFiles);
            }
            // The words alone are also those of a socket that has nothing to read.
            (has(PROCESSES) || (has(AGAIN) && has(MAKING))).then_some(Limit::Processes)
        })
    }

    fn key(self) -> &'static str {
        match self {
            Limit::Memory | Limit::HostMemory => "memory",
            Limit::Processes => "processes",
            Limit::Cpu => "cpu",
            Limit::Tmp => "tmp",
            Limit::OpenFiles => "open_files",
            Limit::Reply => "reply",
        }
    }

    /// The limit and its value, as a part of a sentence.
    pub(crate) fn text(self, function: &Function) -> String {
        let limits = &function.limits;
        match self {
            Limit::Memory => format!("ran out of memory: an instance has {}", size(limits.memory_bytes)),
            Limit::HostMemory => {
                format!("was killed because the host had no memory left: it was below its own limit of {}", size(limits.memory_bytes))
            }
            Limit::Processes => format!("wanted more processes and threads than the {} of an instance", limits.processes),
            Limit::Cpu => format!("used up its CPU time: {} cores over the call's timeout", f64::from(limits.cpu_millis) / 1000.0),
            Limit::Tmp => format!("filled its disk: /tmp holds {}, and no file may be larger", size(limits.tmp_bytes)),
            Limit::OpenFiles => format!("opened more files than the {} of a process", limits.open_files),
            Limit::Reply => format!("replied with more than {}", size(limits.reply_bytes)),
        }
    }

    pub(crate) fn hint(self, function: &Function) -> String {
        if self == Limit::HostMemory {
            return "Give the host, or the group that mote runs in, more memory, or let fewer instances run at once (`instances_max`)."
                .to_owned();
        }
        let key = self.key();
        let also = match (self, function.runtime.family) {
            (Limit::OpenFiles, _) => ", and look for files and connections that are never closed",
            (Limit::Tmp, _) => ", or remove what a call leaves in /tmp: the next call in the same instance still has it",
            (Limit::Memory, Family::Python | Family::Node) if function.limits.concurrency > 1 => ", or lower `concurrency`",
            _ => "",
        };
        format!("Raise `{key}` in mote.toml if the work needs it{also}.")
    }

    pub(crate) fn error(self, function: &Function) -> Error {
        let code = if self == Limit::HostMemory { Code::FunctionCrashed } else { Code::LimitExceeded };
        Error::new(code, format!("{} {}", function.reference(), self.text(function))).hint(self.hint(function))
    }
}

const SHELL_XCPU: i32 = 128 + libc::SIGXCPU;
const SHELL_XFSZ: i32 = 128 + libc::SIGXFSZ;

const MEMORY: &[&str] = &[
    "MemoryError",
    "Cannot allocate memory",
    "cannot allocate memory",
    "ENOMEM",
    "out of memory",
    "OutOfMemoryError",
    "memory allocation of",
    "std::bad_alloc",
    "Array buffer allocation failed",
    "ERR_WORKER_OUT_OF_MEMORY",
];
const TMP: &[&str] = &["No space left on device", "no space left on device", "ENOSPC", "File too large", "file too large", "EFBIG"];
const OPEN_FILES: &[&str] = &["Too many open files", "too many open files", "EMFILE"];
const PROCESSES: &[&str] = &["can't start new thread", "unable to create native thread", "Cannot fork", "ERR_WORKER_INIT_FAILED"];
const AGAIN: &[&str] = &["Resource temporarily unavailable", "resource temporarily unavailable", "EAGAIN", "BlockingIOError"];
const MAKING: &[&str] = &["fork", "spawn", "thread", "clone", "[Errno 11]"];

/// In the largest unit that leaves a whole number.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1_000_000, "MB"), (1000, "kB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

/// What a call, or the time between calls, may still log; what goes beyond is counted.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    bytes: u64,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl LogBudget {
    /// An empty line costs too.
    const LINE_BYTES: u64 = 64;

    pub(crate) fn of(function: &Function) -> LogBudget {
        LogBudget { bytes: function.limits.log_bytes, ..LogBudget::default() }
    }

    /// Whether one more line may be logged.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let cost = line.len() as u64 + LogBudget::LINE_BYTES;
        // A shorter line after a longer one that did not fit would look as if nothing was missing between.
        if self.dropped_lines == 0 && cost <= self.bytes {
            self.bytes -= cost;
            return true;
        }
        self.dropped_lines += 1;
        self.dropped_bytes += line.len() as u64;
        false
    }

    /// The one line that tells of those that were dropped, if any were.
    pub(crate) fn told(&self, function: &Function) -> Option<String> {
        let LogBudget { dropped_lines, dropped_bytes, .. } = self;
        (*dropped_lines > 0).then(|| {
            format!(
                "{dropped_lines} more lines ({dropped_bytes} bytes) were dropped: `log` is {}, with {} bytes for each line",
                size(function.limits.log_bytes),
                LogBudget::LINE_BYTES
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        let check = |exit, killed, words: &str, wanted| {
            assert_eq!(Limit::behind_exit(exit, Events { killed, full: killed > 0, unforked: 0 }, words), wanted, "{exit} {words}");
        };
        let hosts = Events { killed: 1, ..Events::default() };
        assert_eq!(Limit::behind_exit(Exit::Signal(9), hosts, ""), Some(Limit::HostMemory), "its own limit was never met");
        check(Exit::Signal(9), 1, "", Some(Limit::Memory));
        check(Exit::Signal(9), 0, "", None);
        check(Exit::Code(0), 1, "MemoryError", None);
        check(Exit::Signal(24), 0, "", Some(Limit::Cpu));
        check(Exit::Signal(25), 0, "", Some(Limit::Tmp));
        check(Exit::Signal(11), 0, "panic: nil", None);
        check(Exit::Signal(6), 0, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", Some(Limit::Memory));
        check(Exit::Code(1), 0, "OSError: [Errno 28] No space left on device", Some(Limit::Tmp));
        check(Exit::Code(1), 0, "OSError: [Errno 24] Too many open files: 'x'", Some(Limit::OpenFiles));
        check(Exit::Code(2), 0, "sh: 1: Cannot fork", Some(Limit::Processes));
        check(Exit::Code(1), 0, "BlockingIOError: [Errno 11] Resource temporarily unavailable", Some(Limit::Processes));
        check(Exit::Code(1), 0, "recv: Resource temporarily unavailable", None);
        // The last one counts.
        check(Exit::Code(1), 0, "out of memory?\nENOSPC: no space left on device, write\n  at f", Some(Limit::Tmp));
    }

    #[test]
    fn failures_are_told_apart() {
        let check = |kind: &str, message: &str, since, wanted| {
            let report = Report { kind: kind.into(), message: message.into(), trace: "MemoryError".into(), ..Report::default() };
            assert_eq!(Limit::behind_failure(&report, since), wanted, "{kind}: {message}");
        };
        let quiet = Events::default();
        check("MemoryError", "", quiet, Some(Limit::Memory));
        check("ValueError", "no", quiet, None);
        check("ValueError", "no", Events { unforked: 3, ..quiet }, Some(Limit::Processes));
        check("CalledProcessError", "died with <Signals.SIGKILL: 9>", Events { killed: 1, full: true, ..quiet }, Some(Limit::Memory));
        check("CalledProcessError", "died with <Signals.SIGKILL: 9>", Events { killed: 1, ..quiet }, Some(Limit::HostMemory));
        check("RuntimeError", "can't start new thread", quiet, Some(Limit::Processes));
        check("Error", "spawn /bin/true EAGAIN", quiet, Some(Limit::Processes));
    }

    #[test]
    fn a_limit_is_named_with_its_value_and_its_key() {
        let mut function = mote_testkit::function("f");
        function.limits.memory_bytes = 64 << 20;
        let error = Limit::Memory.error(&function);
        assert_eq!(error.detail(), "f ran out of memory: an instance has 64 MiB");
        assert!(error.hint_text().unwrap().contains("`memory`"));
        let error = Limit::HostMemory.error(&function);
        assert_eq!(error.code(), Code::FunctionCrashed);
        assert!(error.detail().contains("the host had no memory left") && !error.hint_text().unwrap().contains("mote.toml"), "{error}");
        for (bytes, text) in [(0, "0 bytes"), (1000, "1 kB"), (1 << 30, "1 GiB"), (1500, "1500 bytes"), (5_000_000, "5 MB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_log_stops_once_and_says_how_much_was_dropped() {
        let mut function = mote_testkit::function("f");
        function.limits.log_bytes = 150;
        let mut budget = LogBudget::of(&function);
        assert!(budget.take("one") && budget.take("two"));
        assert!(budget.told(&function).is_none());
        assert!(!budget.take("three") && !budget.take(""));
        assert!(budget.told(&function).unwrap().starts_with("2 more lines (5 bytes)"));
    }
}
