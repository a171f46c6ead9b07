//! A time zone by its IANA name, out of the database that is part of the binary.
//!
//! Never the host's database: a minimal host has none, and two hosts of one cluster with different
//! ones would disagree on when a timer fires.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::shown;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};

const NAME_BYTES_MAX: usize = 64;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Cheap to clone; `Display` gives the name in the database's spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Zone(TimeZone);

impl Zone {
    pub(super) fn rules(&self) -> &TimeZone {
        &self.0
    }

    /// As its clocks show it, with their offset: `2026-12-01 10:00:00 +01:00`.
    pub fn show(&self, at: Timestamp) -> String {
        let instant = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        instant.map_or_else(|| at.rfc3339(), |instant| instant.to_zoned(self.0.clone()).strftime("%F %T %:z").to_string())
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Zone> {
        let known = if name.len() <= NAME_BYTES_MAX { DATABASE.get(name).ok() } else { None };
        known.filter(|zone| zone.iana_name().is_some()).map(Zone).ok_or_else(|| {
            let error = Error::new(Code::ManifestInvalid, format!("the time zone {} is not known; wanted: an IANA name", shown(name)));
            error.hint(match of_city(name) {
                Some(near) => format!("Is `{near}` meant?"),
                None => "Write a name such as `UTC`, `Europe/Berlin` or `America/New_York`.".to_owned(),
            })
        })
    }
}

/// `berlin` → `Europe/Berlin`: the region is what people leave out.
fn of_city(name: &str) -> Option<String> {
    let (wanted, city) = (name.trim_ascii().replace(' ', "_"), |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_owned());
    DATABASE.available().map(|zone| zone.as_str().to_owned()).find(|zone| city(zone).eq_ignore_ascii_case(&city(&wanted)))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.to_string()
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;

    fn try_from(name: String) -> Result<Zone> {
        name.parse()
    }
}
