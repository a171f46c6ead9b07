//! The promises of the log.

use futures_util::StreamExt as _;
use mote_core::clock::Id;
use mote_core::store::{LogLine, LogQuery, LogSource};

use super::Subject;

fn line(subject: &Subject, function: &str, invocation: u128, text: &str) -> LogLine {
    LogLine {
        time: subject.clock.now(),
        namespace: "default".into(),
        function: function.into(),
        version: 3,
        invocation: Some(Id(invocation)),
        stream: LogSource::Stderr,
        text: text.into(),
    }
}

pub(super) async fn lines_are_found_and_followed(subject: Subject) {
    let logs = &subject.logs;
    for number in 0..10 {
        logs.append(line(&subject, if number % 2 == 0 { "even" } else { "odd" }, number, &number.to_string()));
    }
    let read = async |query: LogQuery| {
        let lines = logs.read(query).await.unwrap();
        lines.map(|line| line.unwrap().text).collect::<Vec<_>>().await
    };
    let all = LogQuery { tail: 100, ..LogQuery::default() };
    assert_eq!(read(all.clone()).await.concat(), "0123456789");
    assert_eq!(read(LogQuery { tail: 3, ..all.clone() }).await.concat(), "789");
    assert_eq!(read(LogQuery { tail: 0, ..all.clone() }).await.concat(), "");
    let odd = LogQuery { namespace: Some("default".into()), function: Some("odd".into()), ..all.clone() };
    assert_eq!(read(LogQuery { tail: 2, ..odd.clone() }).await.concat(), "79");
    assert_eq!(read(LogQuery { invocation: Some(Id(4)), ..all.clone() }).await.concat(), "4");
    assert_eq!(read(LogQuery { namespace: Some("other".into()), ..all.clone() }).await.concat(), "");
    let oldest = LogQuery { tail: 3, from_oldest: true, ..all.clone() };
    assert_eq!(read(oldest.clone()).await.concat(), "012");
    assert_eq!(read(LogQuery { version: Some(3), ..oldest.clone() }).await.concat(), "012");
    assert_eq!(read(LogQuery { version: Some(4), ..oldest.clone() }).await.concat(), "");
    let then = subject.clock.now();
    (subject.advance)(std::time::Duration::from_secs(1));
    let now = subject.clock.now();
    assert_eq!(read(LogQuery { since: Some(now), ..all.clone() }).await.concat(), "");

    let mut follow = logs.read(LogQuery { tail: 1, follow: true, ..odd }).await.unwrap();
    logs.append(line(&subject, "even", 10, "10"));
    logs.append(line(&subject, "odd", 11, "11"));
    assert_eq!(follow.next().await.unwrap().unwrap().text, "9");
    assert_eq!(follow.next().await.unwrap().unwrap(), line(&subject, "odd", 11, "11"));
    assert_eq!(read(LogQuery { since: Some(now), ..all.clone() }).await, ["10", "11"]);
    assert_eq!(read(LogQuery { until: Some(then), tail: 2, ..all }).await, ["8", "9"]);
    assert_eq!(read(LogQuery { since: Some(now), tail: 1, ..oldest }).await, ["10"]);

    // What several write at once may be stored out of turn.
    let late = LogLine { time: then, ..line(&subject, "late", 12, "12") };
    let early = LogLine { time: now, ..late.clone() };
    logs.append(early);
    logs.append(LogLine { text: "13".into(), ..late });
    let late = LogQuery { function: Some("late".into()), tail: 1, ..LogQuery::default() };
    assert_eq!(read(LogQuery { from_oldest: true, ..late.clone() }).await, ["13"]);
    assert_eq!(read(LogQuery { until: Some(now), ..late }).await, ["12"]);
}
