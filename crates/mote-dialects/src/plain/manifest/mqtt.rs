//! `[[mqtt]]`: which messages of devices fire a function. Reference: `docs/reference/manifest.md`.

use mote_core::Result;
use mote_core::function::Binding;
use mote_core::function::mqtt::MqttFilter;
use mote_core::mqtt::{Filter, Qos};

use super::keys::hint;
use super::section::Section;
use super::{delivery, invalid};

/// `qos` is no ceiling, as it is for a subscription: nothing is sent on, so there is nothing to lower.
pub(super) fn read(table: &Section) -> Result<Binding> {
    table.expect_keys("[[mqtt]]", &[&["filter", "qos"], delivery::RETRY].concat())?;
    let value = table
        .get("filter")
        .ok_or_else(|| invalid("[[mqtt]] has no `filter`").hint("Write which topics, such as `filter = \"sensors/+/temp\"`."))?;
    let filter = value.text()?.parse::<Filter>();
    let filter = filter.map_err(|error| value.wrong(&format!("can't be taken: {}", error.detail())).hint(hint(&error)))?;
    let qos = match table.get("qos").map(|value| value.count(0..=2)).transpose()? {
        None | Some(0) => Qos::AtMost,
        Some(1) => Qos::AtLeast,
        Some(_) => Qos::Exactly,
    };
    Ok(Binding::Mqtt(MqttFilter { filter, qos, retry: None }.into()))
}
