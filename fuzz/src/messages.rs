//! Users' queues: what senders word, and the receipts that receivers give back.

use std::sync::LazyLock;

use mote_core::clock::{Id, Timestamp};
use mote_core::function::Name;
use mote_core::queues::message::{Message, NewMessage};
use mote_core::queues::{BATCH_MAX, Queues, Record};
use mote_core::store::LeaseToken;

static QUEUES: LazyLock<Queues> = LazyLock::new(|| Queues::new([7; 32]));
static QUEUE: LazyLock<Name> = LazyLock::new(|| "orders".parse().expect("a good name"));

/// A batch: whatever is taken in can be read again as it was worded.
pub fn messages(data: &[u8]) {
    let Ok(all) = NewMessage::read_all(data) else { return };
    assert!(all.len() <= BATCH_MAX);
    for new in all {
        assert!(new.hops == 0 && new.lineage.is_empty() && new.trace_parent.is_none(), "no sender says what led to it");
        let (body, attributes) = (new.body.clone(), new.attributes.clone());
        let Ok(item) = new.into_item(Id(1), &Name::default_namespace(), &QUEUE, &Record::default(), Timestamp(0)) else { continue };
        let message: Message = serde_json::from_slice(&item.payload).expect("a message is plain data");
        assert!(message.event.body == body && message.attributes == attributes && item.lane.is_none());
    }
}

/// A receipt: no text but the one that was written gives a right, and that one for its own queue alone.
pub fn receipts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (namespace, other) = (Name::default_namespace(), "other".parse().expect("a good name"));
    assert!(QUEUES.lease_of(&namespace, &other, text).is_err());
    if let Ok(lease) = QUEUES.lease_of(&namespace, &QUEUE, text) {
        assert_eq!(QUEUES.receipt(&namespace, &QUEUE, lease), text);
        assert_eq!(lease, LeaseToken { id: Id(3), epoch: 5 });
    }
}

/// The one receipt that is good.
pub(crate) fn receipt() -> String {
    QUEUES.receipt(&Name::default_namespace(), &QUEUE, LeaseToken { id: Id(3), epoch: 5 })
}
