//! A client's will: published for it when its connection has ended without a word, or later.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::rights::Device;
use mote_core::mqtt::Qos;
use mote_core::{Code, Result};
use tokio::sync::oneshot;

use super::Who;
use crate::broker::MqttBroker;
use crate::session::{LeftWill, Session};
use crate::space::Space;
use crate::wire::Will;

/// Between tries while the namespace has had its share, and how many there are.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 120;
/// So long the next connection of the client waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// At once, or when its delay or the session is over, whichever is first; never if the client comes back
/// to the session before. There is one task for a session at most: a later will takes an earlier one's
/// place that still waits for room.
pub(super) async fn leave(broker: &Arc<MqttBroker>, space: &Arc<Space>, session: &Arc<Session>, who: Who, will: Will) {
    let delay_s = will.delay_s.min(session.state().kept.expiry_s);
    let clock = broker.seams.clock.clone();
    let (resumed, told) = oneshot::channel();
    let publishing = tokio::spawn({
        let (broker, space, session) = (broker.clone(), space.clone(), session.clone());
        async move {
            tokio::select! {
                biased;
                () = broker.seams.clock.sleep(Duration::from_secs(delay_s.into())) => {}
                resumed = told => if resumed == Ok(true) { return },
            }
            if let Err(error) = publish(&broker, &space, &session, who, will).await {
                tracing::warn!(?error, client = %session.client, "a will could not be published");
            }
        }
    });
    let left = LeftWill { resumed: Some(resumed), task: publishing.abort_handle() };
    if let Some(earlier) = session.state().will.replace(left) {
        earlier.task.abort();
    }
    if delay_s == 0 {
        tokio::select! { _ = publishing => {}, () = clock.sleep(PATIENCE) => {} }
    }
}

async fn publish(broker: &MqttBroker, space: &Arc<Space>, session: &Session, mut who: Who, will: Will) -> Result<()> {
    // The right may be gone since it was written.
    who.renew(broker)?;
    let access = &broker.seams.access;
    if !who.is_guest {
        access.permit(&who.caller, &Device::Publish.rule(&space.name))?;
    }
    let life = will.life_s.map(|seconds| Duration::from_secs(seconds.into()));
    let mut message = will.message;
    message.expires = life.map(|life| broker.seams.clock.now().plus(life));
    message.lineage.caller = Some(who.caller.label());
    let message = Arc::new(message);
    let mut tries = 0;
    loop {
        tries += 1;
        let mut outcome = access.throttle(&who.caller, &space.name);
        if outcome.is_ok() {
            outcome = broker.accept(space, Some(&session.client), vec![message.clone()]).await;
        }
        match outcome {
            Err(error) if error.code() == Code::Throttled && message.qos > Qos::AtMost && tries < TRIES => {
                broker.seams.clock.sleep(AGAIN).await
            }
            outcome => return outcome,
        }
    }
}
