//! What a function's failure looks like to whoever called it.
//!
//! What code reported is passed on in its own words. What the engine found (it ended, it took too
//! long) is worded here, as the service words it.

use http::StatusCode;
use mote_core::clock::Id;
use mote_core::error::Report;
use mote_core::{Code, Error, Fault as Whose};
use serde_json::json;

use super::fault::Fault;
use crate::aws::envelope::PAYLOAD_BYTES_MAX;

/// `None`: it was no failure of the function.
pub(in crate::aws) fn document(error: &Error, id: Id) -> Option<String> {
    let report = error.report();
    if let Some(document) = report.map(|report| &report.document).filter(|document| !document.is_empty()) {
        return Some(document.clone());
    }
    let told = |kind: &str, message: String| json!({ "errorType": kind, "errorMessage": message }).to_string();
    let exit = |how: &str| told("Runtime.ExitError", format!("RequestId: {id} Error: {}", exited(how)));
    Some(match error.code() {
        Code::FunctionCrashed => exit(report.map(|report| report.message.as_str()).unwrap_or_default()),
        // The kernel ends what goes beyond its memory.
        Code::LimitExceeded => match report.map(|report| report.message.as_str()) {
            Some(how) => exit(how),
            None => told("Runtime.ExitError", format!("RequestId: {id} Error: {}", error.detail())),
        },
        Code::FunctionStartFailed => told("Runtime.InitError", format!("RequestId: {id} Error: {}", error.detail())),
        Code::FunctionFailed => match report {
            Some(report) => json!({
                "errorMessage": report.message,
                "errorType": report.kind,
                "stackTrace": report.trace.lines().collect::<Vec<_>>(),
            })
            .to_string(),
            None => told("Error", error.detail().to_owned()),
        },
        // It was not called at all.
        Code::LoopDetected => return None,
        code if code.fault() == Whose::Function => told("Runtime.Unknown", error.detail().to_owned()),
        _ => return None,
    })
}

/// The result could not be read to its end: it is the function's failure, also where it is too large.
pub(super) fn unread(error: Error) -> Error {
    if error.code() != Code::BodyTooLarge {
        return error;
    }
    let message = format!("Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes).");
    let document = json!({ "errorMessage": message, "errorType": "Function.ResponseSizeTooLarge" }).to_string();
    Error::new(Code::ReplyInvalid, message).with_report(Report { document, ..Report::default() })
}

pub(in crate::aws) fn timeout(id: Id, timeout_ms: u64) -> String {
    let (seconds, hundredths) = (timeout_ms / 1000, timeout_ms % 1000 / 10);
    let message = format!("RequestId: {id} Error: Task timed out after {seconds}.{hundredths:02} seconds");
    json!({ "errorType": "Sandbox.Timedout", "errorMessage": message }).to_string()
}

/// In the words of Go's `os/exec`, by which the service tells of a process.
fn exited(how: &str) -> String {
    let how = match how {
        "" | "exit status 0" => return "Runtime exited without providing a reason".into(),
        "killed from outside" => "signal: killed",
        how => how,
    };
    match how.strip_prefix("signal ").and_then(|signal| signal.split(' ').next()) {
        Some(number) => format!("Runtime exited with error: signal: {}", signal(number)),
        None => format!("Runtime exited with error: {how}"),
    }
}

fn signal(number: &str) -> &str {
    match number {
        "4" => "illegal instruction",
        "6" => "aborted",
        "7" => "bus error",
        "8" => "floating point exception",
        "9" => "killed",
        "11" => "segmentation fault",
        "13" => "broken pipe",
        "15" => "terminated",
        "31" => "bad system call",
        other => other,
    }
}

/// A call that did not come about.
pub(super) fn refused(error: &Error) -> Fault {
    match error.code() {
        Code::Throttled | Code::QuotaExceeded => Fault::throttled(error),
        Code::BodyInvalid | Code::EventInvalid | Code::ArgumentMissing | Code::ArgumentInvalid | Code::RequestInvalid => {
            Fault::new(StatusCode::BAD_REQUEST, "InvalidRequestContentException", error.detail())
        }
        _ => Fault::of(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000007";

    fn told(error: Error) -> Value {
        serde_json::from_str(&document(&error, Id(7)).unwrap()).unwrap()
    }

    #[test]
    fn the_functions_own_words_are_passed_on_as_they_are() {
        let own = r#"{"errorMessage": "boom!","errorType":"ValueError","requestId":"7","stackTrace":[]}"#;
        let report = Report { document: own.into(), ..Report::default() };
        assert_eq!(document(&Error::new(Code::FunctionFailed, "x").with_report(report), Id(7)).unwrap(), own);
        // A start that failed in the code's own words is no different.
        let report = Report { document: own.into(), ..Report::default() };
        assert_eq!(document(&Error::new(Code::FunctionStartFailed, "x").with_report(report), Id(7)).unwrap(), own);
    }

    #[test]
    fn an_end_of_the_process_is_worded_as_the_service_does() {
        let check = |how: &str, expect: &str| {
            let report = Report { kind: "crash".into(), message: how.into(), ..Report::default() };
            let told = told(Error::new(Code::FunctionCrashed, "ended").with_report(report));
            assert_eq!(told["errorType"], "Runtime.ExitError");
            assert_eq!(told["errorMessage"], format!("RequestId: {ID} Error: {expect}"), "{how}");
        };
        check("exit status 0", "Runtime exited without providing a reason");
        check("exit status 1", "Runtime exited with error: exit status 1");
        check("exit status 127", "Runtime exited with error: exit status 127");
        check("signal 9 (SIGKILL)", "Runtime exited with error: signal: killed");
        check("signal 11 (SIGSEGV)", "Runtime exited with error: signal: segmentation fault");
        check("signal 35", "Runtime exited with error: signal: 35");
        check("killed from outside", "Runtime exited with error: signal: killed");
    }

    #[test]
    fn a_timeout_names_the_functions_own() {
        let expect =
            format!(r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {ID} Error: Task timed out after 1.00 seconds"}}"#);
        let (told, expect): (Value, Value) = (serde_json::from_str(&timeout(Id(7), 1000)).unwrap(), serde_json::from_str(&expect).unwrap());
        assert_eq!(told, expect);
        assert!(timeout(Id(7), 61_250).contains("after 61.25 seconds"));
    }

    #[test]
    fn a_result_that_is_too_large_is_a_failure_of_the_function() {
        let told = told(unread(Error::new(Code::BodyTooLarge, "x")));
        assert_eq!(told["errorType"], "Function.ResponseSizeTooLarge");
        assert_eq!(told["errorMessage"], "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
    }

    #[test]
    fn a_call_that_did_not_come_about_is_refused() {
        let check = |code: Code, status: u16, kind: &str| {
            let error = Error::new(code, "x");
            assert_eq!(document(&error, Id(7)), None);
            let fault = refused(&error);
            assert_eq!((fault.status.as_u16(), fault.kind), (status, kind));
        };
        check(Code::Throttled, 429, "TooManyRequestsException");
        check(Code::QuotaExceeded, 429, "TooManyRequestsException");
        check(Code::BodyTooLarge, 413, "RequestTooLargeException");
        check(Code::EventInvalid, 400, "InvalidRequestContentException");
        check(Code::Forbidden, 403, "AccessDeniedException");
        check(Code::LoopDetected, 400, "RecursiveInvocationException");
        check(Code::Internal, 500, "ServiceException");
    }
}
