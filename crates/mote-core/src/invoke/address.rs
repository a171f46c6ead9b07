//! From a destination to the items that carry an event there: the one place that knows what waits
//! in which queue. Whoever has the items commits them, alone or together with what brought them about.
//!
//! Not here: who may send ([`crate::access`]), and what happens to an item later
//! ([`super::deliver`] for those of functions).

use super::deliver::parcel::{Parcel, Wish};
use crate::clock::Timestamp;
use crate::directory::Directory;
use crate::error::Result;
use crate::event::StoredEvent;
use crate::function::delivery::Destination;
use crate::function::{FunctionRef, Name};
use crate::store::Item;

/// See [`super::Invoke::items`]. A function that is not there (yet) is sent to all the same: the
/// item becomes a dead letter that says so, and can be sent again.
pub fn items(
    directory: &Directory,
    now: Timestamp,
    namespace: &Name,
    to: &Destination,
    event: StoredEvent,
    hops: u32,
    wish: Wish,
) -> Result<Vec<Item>> {
    match to {
        Destination::Function(name) => {
            let to = FunctionRef { namespace: namespace.clone(), name: name.clone() };
            let delivery = directory.entry(&to).map(|entry| entry.function.delivery.clone()).unwrap_or_default();
            let id = event.id;
            Ok(vec![Parcel { to, version: None, accepted: now, hops, retry: None, event, run: None }.into_item(id, &delivery, wish)])
        }
    }
}
