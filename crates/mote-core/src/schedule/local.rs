//! From a zone's clocks to real time, across the nights in which the clocks change.
//!
//! Two kinds of rules want two answers. A **fixed** time (`30 2 * * *`) is an appointment: it is kept
//! once a day, at the first moment after the gap when its time is skipped, and the first time when its
//! time comes twice. A **running** rule (`*/10 * * * *`) is a rhythm: it looks at the clock at every
//! second of real time, so a skipped hour costs it nothing and a repeated hour is an hour like others.
//! Which rule is of which kind: [`super::cron`].

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp as Instant};

use crate::clock::Timestamp;

/// The first local time, from this one on, that a rule matches.
pub(super) type Find<'a> = &'a dyn Fn(DateTime) -> Option<DateTime>;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// More than any clock was ever moved (a day, where a zone crossed the date line).
const LEAP_MAX: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The first fixed time later than `after`.
pub(super) fn fixed_after(zone: &TimeZone, after: Instant, find: Find<'_>) -> Option<Instant> {
    let local = zone.to_datetime(after);
    let from = match zone.to_ambiguous_timestamp(local).offset() {
        // The hour runs for the second time: all of its times have had their turn.
        AmbiguousOffset::Fold { before, after: second } if zone.to_offset(after) == second => {
            before.to_datetime(change_until(zone, after)?)
        }
        // Not the second after `after`: that one may lie behind a gap whose skipped times are still due.
        _ => local.checked_add(SECOND).ok()?,
    };
    fixed(zone, find(from)?)
}

/// When a fixed time comes.
pub(super) fn fixed(zone: &TimeZone, local: DateTime) -> Option<Instant> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { before, .. } => change_until(zone, before.to_timestamp(local).ok()?),
    }
}

/// The latest change of the clocks at or before `instant`.
fn change_until(zone: &TimeZone, instant: Instant) -> Option<Instant> {
    zone.preceding(instant.checked_add(SECOND).ok()?).next().map(|change| change.timestamp())
}

/// The first second later than `after` at which the clocks show a time that matches.
pub(super) fn running_after(zone: &TimeZone, after: Instant, find: Find<'_>) -> Option<Instant> {
    let mut from = after.checked_add(SECOND).ok()?;
    // One round for each change of the clocks close to `after` or to the match: a handful.
    loop {
        let offset = zone.to_offset(from);
        let hit = find(offset.to_datetime(from)).and_then(|local| offset.to_timestamp(local).ok());
        let Some(change) = zone.following(from).next().map(|change| change.timestamp()) else { return hit };
        let is_far = change.duration_since(from) > LEAP_MAX;
        from = match hit {
            Some(hit) if hit < change => return Some(hit),
            // Nothing matches between, whatever the offset: only near the match do changes matter.
            Some(hit) if is_far => change.max(hit.checked_sub(LEAP_MAX).ok()?),
            None if is_far => return None,
            // The clocks may go back to times before `from`.
            _ => change,
        };
    }
}

/// Cut to the second: rules of cron know nothing finer.
pub(super) fn instant(time: Timestamp) -> Option<Instant> {
    Instant::from_second(i64::try_from(time.0 / 1000).ok()?).ok()
}

pub(super) fn stamp(instant: Instant) -> Option<Timestamp> {
    u64::try_from(instant.as_millisecond()).ok().map(Timestamp)
}
