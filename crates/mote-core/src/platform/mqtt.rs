//! Publishing to devices without a connection, and what the broker tells of itself.

use std::sync::Arc;

use super::House;
use crate::access::Caller;
use crate::body::Body;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::mqtt::{Broker, Message, PAYLOAD_BYTES_MAX};

impl House {
    pub(super) async fn publish_mqtt(&self, caller: &Caller, namespace: &Name, mut message: Message, body: Body) -> Result<()> {
        message.lineage.caller = Some(caller.label());
        let payload = body.collect(PAYLOAD_BYTES_MAX).await?;
        self.mqtt()?.publish(namespace, Message { payload, ..message }).await
    }

    pub(super) fn mqtt(&self) -> Result<&Arc<dyn Broker>> {
        self.mqtt.as_ref().ok_or_else(|| Error::new(Code::Unsupported, "this server has no MQTT broker"))
    }
}
