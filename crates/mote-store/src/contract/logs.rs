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
    (subject.advance)(std::time::Duration::from_secs(1));
    let now = subject.clock.now();
    assert_eq!(read(LogQuery { since: Some(now), ..all.clone() }).await.concat(), "");

    let mut follow = logs.read(LogQuery { tail: 1, follow: true, ..odd }).await.unwrap();
    logs.append(line(&subject, "even", 10, "10"));
    logs.append(line(&subject, "odd", 11, "11"));
    assert_eq!(follow.next().await.unwrap().unwrap().text, "9");
    assert_eq!(follow.next().await.unwrap().unwrap(), line(&subject, "odd", 11, "11"));
    assert_eq!(read(LogQuery { since: Some(now), ..all }).await, ["10", "11"]);
}
