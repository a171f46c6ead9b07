//! The records of calls in memory, without a bound.

use mote_core::BoxFuture;
use mote_core::clock::Id;
use mote_core::error::Result;
use mote_core::store::{CallEnd, CallRecord, RecordPage, RecordQuery, Records};

use super::MemoryStore;

impl Records for MemoryStore {
    fn append(&self, mut record: Box<CallRecord>) {
        record.redact();
        self.state().calls.push(*record);
    }

    fn attempts(&self, id: Id) -> BoxFuture<'_, Result<Vec<CallRecord>>> {
        Box::pin(async move { Ok(self.state().calls.iter().filter(|record| record.id == id).cloned().collect()) })
    }

    fn search(&self, query: RecordQuery) -> BoxFuture<'_, Result<RecordPage>> {
        Box::pin(async move {
            let state = self.state();
            let before = query.before.map_or(usize::MAX, |before| before as usize);
            let mut found = state.calls.iter().enumerate().rev().filter(|(place, record)| *place < before && matches(&query, record));
            let records: Vec<_> = found.by_ref().take(query.limit).collect();
            let next = found.next().and(records.last()).map(|(place, _)| *place as u64);
            Ok(RecordPage { records: records.into_iter().map(|(_, record)| record.clone()).collect(), next })
        })
    }

    fn dropped(&self) -> u64 {
        0
    }
}

fn matches(query: &RecordQuery, record: &CallRecord) -> bool {
    let status = match &record.end {
        CallEnd::Replied { status, .. } => Some(*status),
        CallEnd::Failed { .. } | CallEnd::Abandoned => None,
    };
    let lineage = &record.event.lineage;
    query.namespace.as_ref().is_none_or(|name| *name == record.function.namespace)
        && query.function.as_ref().is_none_or(|name| *name == record.function.name)
        && query.failed.is_none_or(|failed| failed == record.end.is_failure())
        && query.status.is_none_or(|wanted| Some(wanted) == status)
        && query.since.is_none_or(|since| record.began >= since)
        && query.until.is_none_or(|until| record.began < until)
        && query.caller.as_ref().is_none_or(|caller| Some(caller) == lineage.caller.as_ref())
        && query.error.as_ref().is_none_or(|text| record.error_text().contains(text))
        && query.cause.is_none_or(|id| lineage.cause.is_some_and(|cause| cause.call == id))
}
