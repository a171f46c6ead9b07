//! The finished store, through its seams: what a server sees.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::clock::{Clock as _, SystemClock, Timestamp};
use mote_core::store::{End, Item, Queue, Write};
use mote_store::Embedded;

use crate::{PAYLOAD, RECORD, rate, say};

const NAME: &str = "embedded";

pub fn weigh() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let dir = tempfile::tempdir().expect("a directory for the run");
    let clock = Arc::new(SystemClock::new());
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");

    let (queue, catalog) = (store.queue(), store.catalog());
    let start = Instant::now();
    for _ in 0..2000 {
        queue.enqueue(vec![item(&clock)]).await.expect("accepts");
    }
    say(NAME, "enqueue 1 KB, one caller", rate(2000, start.elapsed()));

    let start = Instant::now();
    crowd(
        |queue, clock| async move {
            for _ in 0..1000 {
                queue.enqueue(vec![item(&clock)]).await.expect("accepts");
            }
        },
        &queue,
        &clock,
    )
    .await;
    say(NAME, "enqueue 1 KB, 64 callers", rate(64_000, start.elapsed()));

    let start = Instant::now();
    crowd(
        |queue, _| async move {
            for _ in 0..500 {
                let leases = queue.lease("work", 1, Duration::from_secs(60)).await.expect("leases");
                queue.settle(leases[0].token(), End::Done.into()).await.expect("settles");
            }
        },
        &queue,
        &clock,
    )
    .await;
    say(NAME, "lease and ack, 64 callers", rate(32_000, start.elapsed()));

    for batch in 0..100 {
        let put =
            |number| Write::Put { key: format!("functions/default/{batch:03}-{number:03}"), expect: 0, value: RECORD.to_vec().into() };
        catalog.commit((0..100).map(put).collect()).await.expect("commits");
    }
    drop((queue, catalog, store));

    let start = Instant::now();
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");
    say(NAME, "open", format!("{:.1} ms", start.elapsed().as_secs_f64() * 1e3));
    let start = Instant::now();
    let (mut after, mut count) = (None::<String>, 0);
    loop {
        let page = store.catalog().scan("functions/", after.as_deref(), 1000).await.expect("scans");
        count += page.len();
        match page.last() {
            Some(last) => after = Some(last.key.clone()),
            None => break,
        }
    }
    assert_eq!(count, 10_000);
    say(NAME, "load 10,000 records", format!("{:.1} ms", start.elapsed().as_secs_f64() * 1e3));
}

async fn crowd<F>(work: fn(Arc<dyn Queue>, Arc<SystemClock>) -> F, queue: &Arc<dyn Queue>, clock: &Arc<SystemClock>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(work(queue.clone(), clock.clone()))).collect();
    for task in tasks {
        task.await.expect("ends well");
    }
}

fn item(clock: &SystemClock) -> Item {
    Item::new(clock.id(), "work", Timestamp(1), PAYLOAD.to_vec())
}
