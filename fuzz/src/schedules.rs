//! The target of schedules: a rule, and a zone and a moment to ask it about.

use mote_core::clock::Timestamp;
use mote_core::schedule::{CatchUp, Options, Schedule, Zone};

/// Lines: the schedule, a zone, a moment in ms. Whatever is taken survives its text, fires in order
/// and within its bounds, and tells the same of one fire whichever way it is asked.
pub fn schedules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let Ok(schedule) = lines.next().unwrap_or_default().parse::<Schedule>() else { return };
    let zone = lines.next().unwrap_or_default().parse::<Zone>().unwrap_or_default();
    let after = Timestamp(lines.next().and_then(|ms| ms.parse().ok()).unwrap_or_default());

    assert_eq!(schedule.to_string().parse::<Schedule>().as_ref().ok(), Some(&schedule));
    assert_eq!(zone.to_string().parse::<Zone>().ok().as_ref(), Some(&zone));
    let options = Options { zone, ..Options::default() };
    let fires = schedule.upcoming(after, 4, &options);
    assert!(fires.first().is_none_or(|first| *first > after) && fires.is_sorted_by(|a, b| a < b), "{fires:?}");
    let Some(last) = fires.last() else { return };
    assert_eq!(schedule.missed(after, *last, CatchUp::All, 4, &options).fires, fires);
    assert_eq!(schedule.missed(after, *last, CatchUp::Last, 1, &options).fires, [*last]);
    let within = Options { start: Some(*last), end: Some(Timestamp(last.0 + 1)), ..options };
    let alone = schedule.upcoming(after, 4, &within);
    assert!(alone.iter().all(|fire| fire == last) && alone.len() == 1, "{alone:?}");
}
