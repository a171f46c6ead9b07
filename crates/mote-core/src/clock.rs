//! Time and fresh ids: the only place in the core that asks the machine for either.
//!
//! A test hands the fake clock of `mote-testkit` to everything that takes a [`Clock`]; no other
//! file may read the wall clock, sleep or draw a random id.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::error::{Error, Result};

/// Milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub fn plus(self, wait: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(wait.as_millis() as u64))
    }

    /// The reverse of [`Timestamp::rfc3339`], with any offset; nothing before 1970.
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        // The library takes more than the standard: a zone's name behind it, for one.
        let plain = |b: u8| b.is_ascii_digit() || b"-:.+TtZz ".contains(&b);
        let instant: jiff::Timestamp = text.bytes().all(plain).then(|| text.parse().ok())??;
        u64::try_from(instant.as_millisecond()).ok().map(Timestamp)
    }

    /// The one form of HTTP's dates that is still sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn from_http_date(text: &str) -> Option<Timestamp> {
        let instant = jiff::fmt::rfc2822::parse(text.strip_suffix(" GMT").map(|date| format!("{date} +0000"))?.as_str()).ok()?;
        u64::try_from(instant.timestamp().as_millisecond()).ok().map(Timestamp)
    }

    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 with milliseconds, as CloudEvents wants its `time`.
    pub fn rfc3339(self) -> String {
        let (days, ms) = ((self.0 / 86_400_000) as i64, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

/// Days since 1970 → date of the Gregorian calendar, counted in eras of 400 years from March on.
fn civil(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, (day_of_year - (153 * shifted + 2) / 5 + 1) as u64)
}

/// An id that sorts by time of making (UUID version 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(pub u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::parse_str(text).map(|uuid| Id(uuid.as_u128()))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Where time and ids come from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Never goes back; only differences mean anything.
    fn monotonic(&self) -> Duration;
    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()>;
    /// For a thread of its own: gives the core away for so long, or until somebody unparks it. Of a
    /// clock that a test moves it takes the machine's time: it puts work off, and orders nothing.
    fn park(&self, wait: Duration) {
        std::thread::park_timeout(wait);
    }
    /// A new id that nobody can guess.
    fn id(&self) -> Id;
    /// Bytes that nobody can guess: keys, tokens, nonces.
    fn random(&self) -> Result<[u8; 32]>;
}

/// The machine's clock.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[allow(clippy::new_without_default, reason = "a default clock would hide that it reads the machine's")]
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(wait))
    }

    fn id(&self) -> Id {
        Id(uuid::Uuid::now_v7().as_u128())
    }

    fn random(&self) -> Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::internal("the system gives no random bytes").caused_by(error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339() {
        let check = |ms, expect: &str| assert_eq!(Timestamp(ms).rfc3339(), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_795_374_986_123, "2026-11-22T19:16:26.123Z");
        let read = |text: &str, expect: Option<u64>| assert_eq!(Timestamp::from_rfc3339(text).map(|at| at.0), expect, "{text}");
        read("2026-11-22T19:16:26.123Z", Some(1_795_374_986_123));
        read("2026-11-22T20:16:26.123+01:00", Some(1_795_374_986_123));
        read("1970-01-01T00:00:00Z", Some(0));
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T19:16:26",
            "1969-12-31T23:59:59Z",
            "2026-11-22T20:16:26+01:00[Europe/Berlin]",
            "2026-02-30T00:00:00Z",
        ] {
            read(bad, None);
        }
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = SystemClock::new().id();
        assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
    }
}
