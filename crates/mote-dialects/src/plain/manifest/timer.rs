//! `[[timer]]`: when a function fires by the clock, and with what. Reference: `docs/reference/manifest.md`.

use mote_core::clock::Timestamp;
use mote_core::function::timer::Timer;
use mote_core::function::{Binding, Name};
use mote_core::schedule::{self, CatchUp, JITTER_MS_MAX, Options, Schedule, Zone};
use mote_core::{Error, Result};

use super::keys::hint;
use super::section::{Section, Value};
use super::{delivery, invalid};

const KEYS: &[&str] = &["name", "schedule", "timezone", "start", "end", "jitter", "payload", "catch_up", "enabled"];
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

pub(super) fn read(table: &Section) -> Result<Binding> {
    table.expect_keys("[[timer]]", &[KEYS, delivery::RETRY].concat())?;
    let schedule = table.get("schedule").ok_or_else(|| {
        invalid("[[timer]] has no `schedule`").hint("Write cron such as `schedule = \"0 9 * * MON-FRI\"`, or `schedule = \"every 90s\"`.")
    })?;
    let name = table.get("name").map(|value| told(&value, Name::new(value.text()?))).transpose()?;
    Ok(Binding::Timer(
        Timer {
            name,
            options: options(table, &schedule)?,
            schedule: told(&schedule, schedule.text()?.parse::<Schedule>())?,
            catch_up: table.get("catch_up").map(|value| catch_up(&value)).transpose()?.unwrap_or_default(),
            payload: table.get("payload").map(|value| payload(&value)).transpose()?,
            enabled: table.get("enabled").map(|value| value.flag()).transpose()?.unwrap_or(true),
            retry: None,
        }
        .into(),
    ))
}

fn options(table: &Section, schedule: &Value) -> Result<Options> {
    let zone = table.get("timezone").map(|value| told(&value, value.text()?.parse::<Zone>())).transpose()?.unwrap_or_default();
    let edge = |key: &str| table.get(key).map(|value| moment(&value, &zone)).transpose();
    let (start, end) = (edge("start")?, edge("end")?);
    let jitter_ms = table.get("jitter").map(|value| value.duration_ms(0..=JITTER_MS_MAX)).transpose()?.unwrap_or_default();
    let options = Options { zone, start, end, jitter_ms };
    told(schedule, options.check())?;
    Ok(options)
}

/// The error of core's, told of this key.
fn told<T>(value: &Value, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error: Error| value.wrong(&format!("can't be taken: {}", error.detail())).hint(hint(&error)))
}

/// In quotes, or as TOML writes a date and time.
fn moment(value: &Value, zone: &Zone) -> Result<Timestamp> {
    let wanted = "a date and time such as 2026-12-01T10:00:00, on the clocks of `timezone`, or with Z or +02:00 at its end,";
    let text = value.moment_text().ok_or_else(|| value.wanted(wanted))?;
    schedule::moment(&text, zone).ok_or_else(|| value.wanted(wanted))
}

fn catch_up(value: &Value) -> Result<CatchUp> {
    match value.text()? {
        "none" => Ok(CatchUp::None),
        "last" => Ok(CatchUp::Last),
        "all" => Ok(CatchUp::All),
        _ => Err(value.wanted("\"none\", \"last\" or \"all\"")),
    }
}

fn payload(value: &Value) -> Result<serde_json::Value> {
    let payload = value.json()?;
    let bytes = payload.as_str().map_or_else(|| payload.to_string().len(), str::len);
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(value.wrong(&format!("has {bytes} bytes, more than the limit of {PAYLOAD_BYTES_MAX}")));
    }
    Ok(payload)
}
