//! The clock as a door: fires the timers of live functions, and those of rules.
//!
//! One heap holds the next fire of every timer. A fire is first an item in the queue, under a key of
//! timer and time, and then a cursor in the catalog: what a crash leaves between the two is offered
//! to the queue again, which knows the key. Not here: when a rule fires ([`mote_core::schedule`]),
//! and the call, which is the queue's deliverer's.

mod agenda;
mod cursors;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::event::StoredEvent;
use mote_core::function::delivery::Destination;
use mote_core::function::timer::{FIRED, Timer};
use mote_core::function::{Binding, Bound, Function, Name};
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::rule::Rules;
use mote_core::schedule::CATCH_UP_MAX;
use mote_core::store::{Catalog, Item, LogLine, LogSource, Logs, Once, Queue};
use mote_core::trigger::{Stop, Trigger};
use mote_core::{BoxFuture, Code, Result};

use self::agenda::{Agenda, Entry, Live, Owner, Step};
use self::cursors::Cursors;
use self::watch::Watch;

/// Fires that go to the queue in one transaction.
const BATCH: usize = 500;
/// What they send in one commit, and bytes of it.
const OFFERED_MAX: usize = 1000;
const OFFERED_BYTES_MAX: usize = 8 << 20;
/// The longest time without a look at the clock, which somebody may have moved.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Cursors are written together: the queue knows a fire for far longer than they lag.
const CURSORS_WAIT: Duration = Duration::from_secs(1);
/// After a failure of the store, or when there was no room.
const RETRY: Duration = Duration::from_secs(1);
/// The queue knows a fire again for as long as it takes to come to a hundred more, within these.
const KEY_KEPT_MIN: Duration = Duration::from_secs(24 * 3600);
const KEY_KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module's text.
pub struct TimerTrigger {
    directory: Arc<Directory>,
    rules: Arc<Rules>,
    catalog: Arc<dyn Catalog>,
    queue: Arc<dyn Queue>,
    logs: Arc<dyn Logs>,
    clock: Arc<dyn Clock>,
    cursors: Cursors,
}

impl TimerTrigger {
    pub fn new(
        directory: Arc<Directory>,
        rules: Arc<Rules>,
        catalog: Arc<dyn Catalog>,
        queue: Arc<dyn Queue>,
        logs: Arc<dyn Logs>,
        clock: Arc<dyn Clock>,
    ) -> TimerTrigger {
        TimerTrigger { directory, rules, cursors: Cursors::new(catalog.clone()), catalog, queue, logs, clock }
    }

    async fn run(&self, door: Arc<dyn Invoke>, mut stop: Stop) -> Result<()> {
        let (mut changes, mut rules) = (self.directory.changes(), self.rules.changes());
        let Some(stored) = self.load(&mut stop).await else { return Ok(()) };
        let mut agenda = Agenda::new(stored);
        self.renew(&mut agenda);
        let mut watch = Watch::begin(&*self.clock);
        while !stop.is_stopped() {
            if changes.has_changed().unwrap_or(false) || rules.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                rules.mark_unchanged();
                self.renew(&mut agenda);
            }
            let now = watch.look(&*self.clock);
            let steps = agenda.due(now, watch.missed_until(), BATCH);
            let is_full = steps.len() >= BATCH;
            if !steps.is_empty() && !self.take(&mut agenda, &door, steps, &mut stop).await {
                break;
            }
            self.take_away(&agenda).await;
            let cursors_wait = self.keep(&mut agenda).await;
            if is_full {
                // Everybody else has a turn too.
                tokio::task::yield_now().await;
                continue;
            }
            let wait = agenda.wait(self.clock.now()).unwrap_or(LOOK_MAX).min(cursors_wait).min(LOOK_MAX);
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                _ = changes.changed() => changes.mark_changed(),
                _ = rules.changed() => rules.mark_changed(),
                () = stop.wait() => {}
            }
        }
        self.write(&mut agenda).await;
        Ok(())
    }

    async fn load(&self, stop: &mut Stop) -> Option<agenda::Known> {
        loop {
            match self.cursors.load().await {
                Ok(known) => return Some(known),
                Err(error) => tracing::error!(?error, "the timers' cursors can't be read; trying again"),
            }
            if !self.paused(stop).await {
                return None;
            }
        }
    }

    /// False: told to stop meanwhile.
    async fn paused(&self, stop: &mut Stop) -> bool {
        tokio::select! { () = self.clock.sleep(RETRY) => true, () = stop.wait() => false }
    }

    fn renew(&self, agenda: &mut Agenda) {
        let mut timers = self.directory.bindings(|function, by, binding| match binding {
            Binding::Timer(timer) if timer.enabled => Some(live(function, by, timer)),
            Binding::Timer(_)
            | Binding::Http(_)
            | Binding::Bucket { .. }
            | Binding::Topic(_)
            | Binding::Queue(_)
            | Binding::Webhook(_)
            | Binding::Mqtt(_) => None,
        });
        timers.extend(self.rules.timed().into_iter().filter_map(|rule| {
            let (timer, since) = (rule.timer.clone()?, rule.since);
            Some(Live { owner: Owner::Rule(rule), timer, since })
        }));
        agenda.renew(timers);
    }

    /// Those rules that end with their last fire. What fails is tried again at the next look.
    async fn take_away(&self, agenda: &Agenda) {
        for rule in agenda.ended() {
            match self.rules.remove(&*self.catalog, &rule.namespace, &rule.group, &rule.name, Some(&rule)).await {
                Err(error) if error.code() != Code::RuleNotFound => tracing::warn!(?error, "a rule that has ended can't be removed"),
                _ => {}
            }
        }
    }

    /// Hands the fires to the queue: those of a namespace that has a quota apart, so that it holds up no
    /// other, and so those of its rules, which may tell a queue that is full. False: told to stop.
    async fn take(&self, agenda: &mut Agenda, door: &Arc<dyn Invoke>, steps: Vec<Step>, stop: &mut Stop) -> bool {
        let mut groups: BTreeMap<(Option<Name>, bool), Vec<Step>> = BTreeMap::new();
        for step in steps {
            let Some(entry) = agenda.entry(&step) else { continue };
            let namespace = entry.owner.namespace();
            let of_rules = matches!(entry.owner, Owner::Rule(_));
            let has_room_of_its_own = of_rules || !door.rooms(namespace).is_empty();
            groups.entry((has_room_of_its_own.then(|| namespace.clone()), of_rules)).or_default().push(step);
        }
        for ((namespace, _), steps) in &groups {
            if !self.offer(agenda, door, namespace.as_ref(), steps, stop).await {
                return false;
            }
        }
        true
    }

    /// However long a failing store takes, none is lost. For which there is no room, is missed.
    async fn offer(&self, agenda: &mut Agenda, door: &Arc<dyn Invoke>, namespace: Option<&Name>, steps: &[Step], stop: &mut Stop) -> bool {
        let rooms = namespace.map(|namespace| door.rooms(namespace)).unwrap_or_default();
        let (mut left, mut at_once) = (steps.to_vec(), steps.len());
        while !left.is_empty() {
            let (some, items) = self.offered(agenda, door, left.iter().take(at_once));
            let rooms = rooms.iter().cloned().chain(door.queue_rooms(&items)).collect();
            let queued = if items.is_empty() { Ok(Vec::new()) } else { self.queue.enqueue_within(items, rooms).await };
            match (queued, namespace) {
                (Ok(_), _) => {
                    agenda.done(&some);
                    some.iter().filter(|step| step.dropped > 0).for_each(|step| self.tell(agenda, step));
                    left.drain(..some.len());
                }
                // There may be room for some of them.
                (Err(error), Some(_)) if error.code() == Code::Throttled && some.len() > 1 => at_once = some.len() / 2,
                (Err(error), Some(namespace)) if error.code() == Code::Throttled => {
                    let now = self.clock.now();
                    // A queue that is full holds up the rule that tells it, and nobody else.
                    let alone = some.first().filter(|step| agenda.entry(step).is_some_and(|entry| matches!(entry.owner, Owner::Rule(_))));
                    if agenda.refused(namespace, alone, now, now.plus(RETRY)) {
                        tracing::warn!(%namespace, ?error, "timers can't fire, and catch up when there is room");
                    }
                    let Some(alone) = alone else { return true };
                    // Its later fires wait for this one.
                    left.retain(|step| !step.is_of_the_same(alone));
                }
                (Err(error), _) => {
                    tracing::error!(?error, "timers can't fire; trying again");
                    if !self.paused(stop).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// As many of the steps as are offered at once, with what they send: as few as they must be where
    /// that is much, so that no other commit waits for it long.
    fn offered<'a>(&self, agenda: &Agenda, door: &Arc<dyn Invoke>, steps: impl Iterator<Item = &'a Step>) -> (Vec<Step>, Vec<Item>) {
        let (mut some, mut items, mut bytes) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            let sent = agenda.entry(step).filter(|_| step.runs).map(|entry| self.items(door, entry, step)).unwrap_or_default();
            bytes += sent.iter().map(|item| item.payload.len()).sum::<usize>();
            some.push(*step);
            items.extend(sent);
            if items.len() >= OFFERED_MAX || bytes >= OFFERED_BYTES_MAX {
                break;
            }
        }
        (some, items)
    }

    /// Where the function's owner reads.
    fn tell(&self, agenda: &Agenda, step: &Step) {
        let Some(Entry { owner, timer, key, .. }) = agenda.entry(step) else { return };
        let (name, until, dropped) = (owner.name(timer), step.at.rfc3339(), step.dropped);
        let Owner::Function(function, _) = owner else {
            tracing::warn!(%key, until, dropped, "a rule's timer has fallen behind: only its newest fires run");
            return;
        };
        self.logs.append(LogLine {
            time: self.clock.now(),
            namespace: function.namespace.to_string(),
            function: function.name.to_string(),
            version: function.version,
            invocation: None,
            stream: LogSource::Platform,
            text: format!(
                "the timer {name} has fallen behind: of its fires the newest {CATCH_UP_MAX} run, {dropped} or more up to {until} don't"
            ),
        });
    }

    fn items(&self, door: &Arc<dyn Invoke>, entry: &Entry, step: &Step) -> Vec<Item> {
        let (namespace, name) = (entry.owner.namespace(), entry.owner.name(&entry.timer));
        let event = StoredEvent {
            content_type: entry.content_type.map(str::to_owned),
            body: entry.body.clone(),
            ..StoredEvent::new(self.clock.id(), format!("/timers/{name}"), FIRED, step.at)
        };
        // No header can hold that first character, so no sender's own key stands in a fire's way.
        let key = format!("\u{1}timer {name} {}", step.at.0);
        let until = self.clock.now().plus(entry.gap(step.at).saturating_mul(100).clamp(KEY_KEPT_MIN, KEY_KEPT_MAX));
        let items = match &entry.owner {
            Owner::Function(function, version) => {
                let wish =
                    Wish { retry: entry.timer.retry.clone(), version: version.clone(), idempotency_key: Some(key), ..Wish::default() };
                door.items(namespace, &Destination::Function(function.name.clone()), event, 0, wish).unwrap_or_else(|error| {
                    tracing::error!(?error, timer = %entry.key, "a fire could not be addressed");
                    Vec::new()
                })
            }
            Owner::Rule(rule) => {
                let wish = Wish { idempotency_key: Some(format!("{key} {}", rule.group)), ..Wish::default() };
                door.of_rule(rule, &event, &wish)
            }
        };
        let longer = |once: Once| Once { until: until.max(once.until), ..once };
        items.into_iter().map(|item| Item { once: item.once.map(longer), ..item }).collect()
    }

    /// Writes what has waited long enough; says how long the rest may wait.
    async fn keep(&self, agenda: &mut Agenda) -> Duration {
        let now = self.clock.monotonic();
        let Some(since) = agenda.unwritten_since(now) else { return LOOK_MAX };
        let waited = now.saturating_sub(since);
        if waited < CURSORS_WAIT {
            return CURSORS_WAIT - waited;
        }
        if self.write(agenda).await {
            return LOOK_MAX;
        }
        agenda.put_off(now);
        CURSORS_WAIT
    }

    async fn write(&self, agenda: &mut Agenda) -> bool {
        let (cursors, gone) = agenda.unwritten();
        match self.cursors.write(cursors, gone).await {
            Ok(()) => {
                agenda.written();
                true
            }
            Err(error) => {
                tracing::warn!(?error, "the timers' cursors can't be written; trying again");
                false
            }
        }
    }
}

fn live(function: &Arc<Function>, by: Option<&Bound>, timer: &Arc<Timer>) -> Live {
    let since = by.map_or(function.live_since, |bound| bound.since.max(function.created));
    Live { owner: Owner::Function(function.clone(), Bound::called(by)), timer: timer.clone(), since }
}

impl Trigger for TimerTrigger {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(door, stop))
    }
}
