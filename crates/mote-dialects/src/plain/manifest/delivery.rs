//! The table `[async]`: retries, order and destinations of the events that nobody waits for.
//! Reference: `docs/reference/manifest.md`.

use mote_core::Result;
use mote_core::egress::{Egress, Rule};
use mote_core::function::Name;
use mote_core::function::delivery::{Delivery, Destination, Failure, KeyPath, Order, Retry};
use mote_core::webhook::{Endpoint, HookUrl, Mode};

use super::section::{Section, Value};
use super::topic::told;

/// In `[async]`, and in a binding that says otherwise for its own events.
pub(super) const RETRY: &[&str] = &["attempts", "backoff", "backoff_max", "max_age", "retry_on"];
const OTHERS: &[&str] = &[
    "keep_result",
    "order_by",
    "order_width",
    "order_rate",
    "rate",
    "debounce",
    "debounce_max",
    "throttle",
    "on_success",
    "on_failure",
    "dead_letters",
];

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const KEY_BYTES_MAX: usize = 256;
const RULES_MAX: usize = 100;

/// Retries, order and destinations.
pub(super) fn read(table: &Section, this: &mut Delivery) -> Result<()> {
    table.expect_keys("[async]", &[RETRY, OTHERS].concat())?;
    retry(table, &mut this.retry)?;
    if let Some(value) = table.get("keep_result") {
        this.result_kept_ms = value.duration_ms(0..=30 * DAY)?;
    }
    if let Some(value) = table.get("order_by") {
        this.order = Some(Order { by: key_path(&value)?, width: 1, rate: None });
    }
    if let Some(value) = table.get("order_width") {
        let width = value.count(1..=1000)?;
        this.order.as_mut().ok_or_else(|| value.wrong("means nothing without `order_by`"))?.width = width;
    }
    if let Some(value) = table.get("order_rate") {
        let rate = told(&value, value.text()?.parse())?;
        this.order.as_mut().ok_or_else(|| value.wrong("means nothing without `order_by`"))?.rate = Some(rate);
    }
    this.rate = table.get("rate").map(|value| told(&value, value.text()?.parse())).transpose()?;
    if let Some(value) = table.get("debounce") {
        this.debounce_ms = Some(value.duration_ms(1..=DAY)?);
    }
    if let Some(value) = table.get("debounce_max") {
        let quiet_ms = this.debounce_ms.ok_or_else(|| value.wrong("means nothing without `debounce`"))?;
        this.debounce_max_ms = Some(value.duration_ms(quiet_ms..=30 * DAY)?);
    }
    if let Some(value) = table.get("throttle") {
        if this.debounce_ms.is_some() {
            return Err(value.wrong("can't stand beside `debounce`: one keeps the first event, the other the last"));
        }
        this.throttle_ms = Some(value.duration_ms(1..=DAY)?);
    }
    let destinations =
        [("on_success", &mut this.on_success), ("on_failure", &mut this.on_failure), ("dead_letters", &mut this.dead_letters)];
    for (key, destination) in destinations {
        if let Some(value) = table.get(key) {
            *destination = Some(self::destination(&value)?);
        }
    }
    Ok(())
}

/// What a binding's table says of retries, and the function's rule for the rest; `None`: nothing.
pub(super) fn own_retry(table: &Section, functions: &Retry) -> Result<Option<Retry>> {
    if RETRY.iter().all(|key| table.get(key).is_none()) {
        return Ok(None);
    }
    let mut own = functions.clone();
    retry(table, &mut own)?;
    Ok(Some(own))
}

/// Those of its keys that are there; which others may be is the caller's to say.
pub(super) fn retry(table: &Section, this: &mut Retry) -> Result<()> {
    if let Some(value) = table.get("attempts") {
        this.attempts_max = value.count(1..=1000)?;
    }
    let durations: [(&str, &mut u64, _); 3] = [
        ("backoff", &mut this.backoff_ms, 1..=DAY),
        ("backoff_max", &mut this.backoff_max_ms, 1..=DAY),
        ("max_age", &mut this.age_max_ms, 1000..=30 * DAY),
    ];
    for (key, duration, bounds) in durations {
        if let Some(value) = table.get(key) {
            *duration = value.duration_ms(bounds)?;
        }
    }
    if let Some(value) = table.get("retry_on") {
        this.on = failures(&value)?;
    }
    Ok(())
}

/// A text, or a table for what a webhook has besides: `{ url, secret, egress, mode }`.
fn destination(value: &Value) -> Result<Destination> {
    let Some(table) = value.maybe_table() else { return told(value, value.text()?.parse()) };
    table.expect_keys("a webhook", &["url", "secret", "egress", "mode"])?;
    let url = table.get("url").ok_or_else(|| value.wrong("has no `url`"))?;
    let mut to = Endpoint::new(told(&url, url.text()?.parse::<HookUrl>())?);
    to.secret = table.get("secret").map(|value| told(&value, Name::new(value.text()?))).transpose()?;
    if let Some(value) = table.get("egress") {
        to.egress =
            Egress::Rules(value.texts(RULES_MAX)?.into_iter().map(|rule| told(&value, rule.parse::<Rule>())).collect::<Result<_>>()?);
    }
    if let Some(value) = table.get("mode") {
        to.mode = match value.text()? {
            "binary" => Mode::Binary,
            "structured" => Mode::Structured,
            _ => return Err(value.wanted("\"binary\" or \"structured\"")),
        };
    }
    Ok(Destination::Webhook(Box::new(to)))
}

pub(super) fn failures(value: &Value) -> Result<Vec<Failure>> {
    let mut all = Vec::new();
    for text in value.texts(Failure::ALL.len())? {
        let failure = match text {
            "error" => Failure::Error,
            "timeout" => Failure::Timeout,
            "crash" => Failure::Crash,
            _ => return Err(value.wanted("a list of \"error\", \"timeout\" and \"crash\"")),
        };
        if !all.contains(&failure) {
            all.push(failure);
        }
    }
    Ok(all)
}

fn key_path(value: &Value) -> Result<KeyPath> {
    let text = value.text()?;
    let wanted = || value.wanted("\"subject\", \"source\", \"extension.NAME\" or \"data.KEY.KEY\"");
    if text.len() > KEY_BYTES_MAX {
        return Err(wanted());
    }
    match text.split_once('.') {
        None if text == "subject" => Ok(KeyPath::Subject),
        None if text == "source" => Ok(KeyPath::Source),
        Some(("extension", name)) if !name.is_empty() => Ok(KeyPath::Extension(name.to_owned())),
        Some(("data", keys)) if keys.split('.').all(|key| !key.is_empty()) => {
            Ok(KeyPath::Data(keys.split('.').map(str::to_owned).collect()))
        }
        _ => Err(wanted()),
    }
}
