//! A deep backlog: what an operation costs does not grow with what waits. The ratio of its time
//! with many items to its time with few is bounded; absolute times say more about the machine.
//! `MOTE_BACKLOG=1000000` is the full number. Not here: how many a second; that is the benchmark's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::clock::{Id, SystemClock, Timestamp};
use mote_core::store::{End, Item, Lane, Queue};
use mote_store::Embedded;

const DEEP: u64 = 100_000;
const FEW: u64 = 1000;
/// The median of the ratios of neighbouring batches, fsyncs included: what else the machine does
/// meets both.
const RATIO_MAX: f64 = 3.0;
const BATCHES: usize = 60;
const BATCH: u64 = 64;

#[tokio::test]
async fn a_deep_backlog_costs_no_more_than_a_shallow_one() {
    let deep = std::env::var("MOTE_BACKLOG").map_or(DEEP, |number| number.parse().expect("MOTE_BACKLOG is a number"));
    let (mut shallow, mut full) = (Backlog::of(FEW).await, Backlog::of(deep).await);
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let (mut of_few, mut of_many): ([Duration; 4], [Duration; 4]) = Default::default();
    for _ in 0..BATCHES {
        let (few, many) = (shallow.batch().await, full.batch().await);
        for at in 0..4 {
            ratios[at].push(many[at].as_secs_f64() / few[at].as_secs_f64());
            of_few[at] += few[at] / BATCHES as u32;
            of_many[at] += many[at] / BATCHES as u32;
        }
    }
    for (at, what) in ["enqueue", "lease", "settle", "pending"].into_iter().enumerate() {
        ratios[at].sort_unstable_by(f64::total_cmp);
        let ratio = ratios[at][BATCHES / 2];
        println!("{what:<8} of {BATCH}: {:.1?} at {FEW}, {:.1?} at {deep}, ratio {ratio:.2}", of_few[at], of_many[at]);
        assert!(ratio <= RATIO_MAX, "{what} costs {ratio:.2} times as much with {deep} waiting as with {FEW}");
    }
}

struct Backlog {
    queue: Arc<dyn Queue>,
    next: u64,
    _dir: tempfile::TempDir,
}

impl Backlog {
    async fn of(count: u64) -> Backlog {
        let dir = tempfile::tempdir().unwrap();
        let queue = Embedded::open(dir.path(), Arc::new(SystemClock::new())).unwrap().queue();
        let mut backlog = Backlog { queue, next: 1, _dir: dir };
        while backlog.next <= count {
            backlog.enqueue(2000.min(count + 1 - backlog.next)).await;
        }
        assert_eq!(backlog.queue.depth("work").await.unwrap(), count);
        backlog
    }

    async fn enqueue(&mut self, count: u64) {
        self.queue.enqueue((self.next..self.next + count).map(item).collect()).await.unwrap();
        self.next += count;
    }

    /// As many are settled as are enqueued; gives back how long each operation took.
    async fn batch(&mut self) -> [Duration; 4] {
        let begun = Instant::now();
        self.enqueue(BATCH).await;
        let enqueued = begun.elapsed();
        let leases = self.queue.lease("work", BATCH as usize, Duration::from_secs(60)).await.unwrap();
        let leased = begun.elapsed();
        let settled = futures_util::future::join_all(leases.iter().map(|lease| self.queue.settle(lease.token(), End::Done.into()))).await;
        assert!(settled.iter().all(Result::is_ok) && leases.len() as u64 == BATCH);
        let ended = begun.elapsed();
        for _ in 0..BATCH {
            self.queue.pending("").await.unwrap();
        }
        [enqueued, leased - enqueued, ended - leased, begun.elapsed() - ended]
    }
}

/// In lanes and without, as a backlog would be.
fn item(number: u64) -> Item {
    let lane = number.is_multiple_of(4).then(|| Lane::new(format!("lane-{}", number % 1000), 1));
    Item { lane, ..Item::new(Id(number.into()), "work", Timestamp(number), vec![b'x'; 200]) }
}
