//! What every store must keep, as functions over the seams: one suite for all of them.
//!
//! A store's own tests call these with a fresh, empty store and its clock; a failed promise
//! panics. Not here: durability over a kill, which needs a process (`tests/crash.rs`).

mod burst;
mod catalog;
mod classics;
mod listing;
mod logs;
mod objects;
mod queue;
mod records;
mod uploads;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use mote_core::Body;
use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::error::{Code, Result};
use mote_core::event::StoredEvent;
use mote_core::function::{FunctionRef, Name};
use mote_core::store::{CallEnd, CallRecord, Catalog, Item, Logs, ObjectInfo, ObjectMeta, Objects, Precondition, Queue, Records};

/// A store under test, and the clock that it was given.
pub struct Subject {
    pub catalog: Arc<dyn Catalog>,
    pub queue: Arc<dyn Queue>,
    pub objects: Arc<dyn Objects>,
    pub logs: Arc<dyn Logs>,
    pub records: Arc<dyn Records>,
    pub clock: Arc<dyn Clock>,
    /// Moves the clock on.
    pub advance: Box<dyn Fn(Duration) + Send + Sync>,
    /// Sets its wall clock back.
    pub set_back: Box<dyn Fn(Duration) + Send + Sync>,
}

/// All of it, each part on a store of its own.
pub async fn run<F: Future<Output = Subject>>(fresh: impl Fn() -> F) {
    catalog::changes_are_judged_by_revision(fresh().await).await;
    catalog::a_batch_happens_whole_or_not_at_all(fresh().await).await;
    catalog::a_bucket_comes_with_its_batch_or_not_at_all(fresh().await).await;
    catalog::scans_go_by_bytes_and_pages(fresh().await).await;
    queue::a_lease_holds_until_it_ends(fresh().await).await;
    queue::a_holder_moves_the_end_that_it_left(fresh().await).await;
    queue::a_lost_lease_settles_nothing(fresh().await).await;
    queue::a_failure_is_due_again_and_may_not_count(fresh().await).await;
    queue::the_oldest_is_leased_first(fresh().await).await;
    queue::each_queue_tells_its_next(fresh().await).await;
    queue::a_buried_item_is_gone(fresh().await).await;
    queue::a_change_wakes_who_waits(fresh().await).await;
    queue::higher_priorities_go_first(fresh().await).await;
    queue::a_room_is_never_overfull(fresh().await).await;
    queue::a_queue_is_looked_at_as_a_whole(fresh().await).await;
    queue::steps_of_one_item_wake_one_another(fresh().await).await;
    queue::a_lane_keeps_its_order(fresh().await).await;
    queue::leases_of_a_lane_begin_some_time_apart(fresh().await).await;
    queue::a_key_is_taken_once(fresh().await).await;
    burst::the_last_of_a_burst_takes_the_others_place(fresh().await).await;
    burst::what_was_leased_or_cancelled_keeps_its_place(fresh().await).await;
    burst::a_burst_that_goes_on_and_on_runs_at_its_latest(fresh().await).await;
    burst::the_first_of_a_while_stands_for_the_others(fresh().await).await;
    queue::an_id_is_queued_once(fresh().await).await;
    queue::what_follows_happens_with_the_end(fresh().await).await;
    queue::what_follows_and_finds_no_room_is_a_dead_letter(fresh().await).await;
    queue::what_waits_can_be_cancelled(fresh().await).await;
    queue::dead_letters_tell_all_and_come_back(fresh().await).await;
    classics::a_stale_settlement_buries_nothing_that_is_finished(fresh().await).await;
    classics::a_cursor_never_goes_back(fresh().await).await;
    classics::a_quota_is_not_overrun_by_many_at_once(fresh().await).await;
    classics::a_poisoned_message_ends_and_its_lane_goes_on(fresh().await).await;
    classics::a_clock_that_jumps_loses_nothing(fresh().await).await;
    objects::buckets_come_and_go(fresh().await).await;
    objects::tags_change_nothing_else(fresh().await).await;
    objects::names_are_bounded(fresh().await).await;
    objects::bytes_come_back_whole_and_in_ranges(fresh().await).await;
    objects::a_reader_keeps_what_it_opened(fresh().await).await;
    objects::conditions_are_judged_with_the_write(fresh().await).await;
    objects::effects_happen_with_the_change_or_not_at_all(fresh().await).await;
    objects::a_change_whose_events_find_no_room_does_not_happen(fresh().await).await;
    objects::a_broken_body_leaves_nothing(fresh().await).await;
    objects::a_room_of_bytes_is_never_overfull(fresh().await).await;
    listing::pages_fold_common_prefixes(fresh().await).await;
    listing::every_paging_gives_the_same_keys(fresh().await).await;
    uploads::parts_become_one_object(fresh().await).await;
    uploads::wrong_parts_are_refused(fresh().await).await;
    uploads::an_aborted_upload_is_gone(fresh().await).await;
    logs::lines_are_found_and_followed(fresh().await).await;
    records_alone(fresh).await;
}

/// For a store that keeps records of calls, whatever else it keeps.
pub async fn records_alone<F: Future<Output = Subject>>(fresh: impl Fn() -> F) {
    records::records_are_found_by_all_that_they_tell(fresh().await).await;
    records::credentials_are_in_no_record(fresh().await).await;
    records::pages_of_records_miss_none_while_more_come(fresh().await).await;
}

/// Of a first attempt that went well.
pub(crate) fn record(id: Id, function: &str, began: Timestamp) -> CallRecord {
    let function = FunctionRef { namespace: Name::default_namespace(), name: Name::new(function).expect("a name") };
    let mut record = CallRecord::new(function, 1, StoredEvent::new(id, "/test", "test", began), began);
    record.end = CallEnd::Replied { status: 200, content_type: None, reply_bytes: 2 };
    record
}

impl Subject {
    fn item(&self, queue: &str, due_ms: u64, payload: &'static str) -> Item {
        Item::new(self.clock.id(), queue, self.at(due_ms), payload)
    }

    /// So many milliseconds from now.
    fn at(&self, ms: u64) -> Timestamp {
        self.clock.now().plus(Duration::from_millis(ms))
    }

    async fn put(&self, key: &str, bytes: impl Into<Body>) -> ObjectInfo {
        let staged = self.objects.stage(bytes.into()).await.expect("the bytes are staged");
        let put = self.objects.put("photos", key, staged, ObjectMeta::default(), Precondition::default(), None);
        put.await.expect("the object is put")
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.objects.get("photos", key, None).await?.1.collect(u64::MAX).await
    }
}

#[track_caller]
fn refused<T>(result: Result<T>, code: Code) {
    match result {
        Ok(_) => panic!("it was done, where {code:?} was to be the answer"),
        Err(error) => assert_eq!(error.code(), code, "{error:?}"),
    }
}

/// Whether the future is ready at once.
fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Bytes that repeat nowhere near, so that a piece out of its place is seen.
fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}
