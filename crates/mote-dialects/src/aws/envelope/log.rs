//! The lines that AWS has in a function's log around each call, which people and tools read.

use std::time::Duration;

use mote_core::clock::Id;
use mote_core::function::Function;
use mote_core::reply::Timing;

use crate::aws::arn;

pub(crate) fn opening(function: &Function, call: Id) -> String {
    format!("START RequestId: {call} Version: {}", arn::version(function))
}

/// What a call used of its memory is not measured: as other places that run such code on one machine
/// have it, all of it is told.
pub(crate) fn closing(function: &Function, id: Id, timing: &Timing, took: Duration) -> Vec<String> {
    let ran = took.saturating_sub(timing.queue + timing.start);
    let memory_mb = function.limits.memory_bytes >> 20;
    let mut report = format!(
        "REPORT RequestId: {id}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: {memory_mb} MB",
        ms(ran),
        ran.as_micros().div_ceil(1000),
    );
    if timing.cold {
        report.push_str(&format!("\tInit Duration: {} ms", ms(timing.start)));
    }
    vec![format!("END RequestId: {id}"), report]
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_stands_between_its_lines() {
        let (function, id) = (mote_testkit::function("f"), Id(7));
        let draft = Function { version: Function::DRAFT, ..function.clone() };
        assert_eq!(opening(&draft, id), format!("START RequestId: {id} Version: $LATEST"));
        assert_eq!(opening(&function, id), format!("START RequestId: {id} Version: 1"));
        let warm = Timing::default();
        let report =
            format!("REPORT RequestId: {id}\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 512 MB\tMax Memory Used: 512 MB");
        assert_eq!(closing(&function, id, &warm, Duration::from_micros(1500)), [format!("END RequestId: {id}"), report.clone()]);
        let cold = Timing { start: Duration::from_millis(100), cold: true, ..warm };
        let told = closing(&function, id, &cold, Duration::from_micros(101_500));
        assert_eq!(told[1], format!("{report}\tInit Duration: 100.00 ms"));
    }
}
