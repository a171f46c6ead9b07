//! The timers of a namespace: what each has fired last, and when it fires next.

use std::collections::HashMap;

use super::House;
use crate::action::TimerInfo;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::function::timer::{Cursor, Timer};
use crate::function::{Binding, Function, Name};

const PAGE: usize = 1000;

impl House {
    /// In the order of their functions' names.
    pub(super) async fn list_timers(&self, namespace: &Name, next: usize) -> Result<Vec<TimerInfo>> {
        let timers = self.directory().bindings(|function, by, binding| match binding {
            Binding::Timer(timer) if function.namespace == *namespace => {
                Some((function.clone(), by.map(|bound| bound.since), timer.clone()))
            }
            Binding::Http(_)
            | Binding::Bucket { .. }
            | Binding::Timer(_)
            | Binding::Topic(_)
            | Binding::Queue(_)
            | Binding::Webhook(_)
            | Binding::Mqtt(_) => None,
        });
        let (cursors, now) = (self.cursors(namespace).await?, self.invoker.clock.now());
        let told = timers.iter().map(|(function, since, timer)| {
            let cursor = cursors.get(&Cursor::key(&function.reference(), timer.name(&function.name)));
            told(function, *since, timer, cursor.filter(|cursor| cursor.rule == timer.rule()), now, next)
        });
        Ok(told.collect())
    }

    async fn cursors(&self, namespace: &Name) -> Result<HashMap<String, Cursor>> {
        let (prefix, mut after, mut cursors) = (Cursor::prefix(namespace), None::<String>, HashMap::new());
        loop {
            let page = self.catalog().scan(&prefix, after.as_deref(), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|record| record.key.clone());
            for record in page {
                let cursor = Cursor::read(&record)?;
                cursors.insert(record.key, cursor);
            }
            if !full {
                return Ok(cursors);
            }
        }
    }
}

fn told(function: &Function, since: Option<Timestamp>, timer: &Timer, cursor: Option<&Cursor>, now: Timestamp, next: usize) -> TimerInfo {
    // What waits for its jitter is a next run still.
    let looked = Timestamp(now.0.saturating_sub(timer.options.jitter_ms));
    let after = cursor.map_or(since.unwrap_or(function.live_since), |cursor| cursor.at).max(looked);
    TimerInfo {
        function: function.name.clone(),
        name: timer.name(&function.name).clone(),
        schedule: timer.schedule.clone(),
        options: timer.options.clone(),
        catch_up: timer.catch_up,
        enabled: timer.enabled,
        last: cursor.and_then(|cursor| cursor.fired),
        dropped: cursor.map_or(0, |cursor| cursor.dropped),
        next: if timer.enabled { timer.schedule.upcoming(after, next, &timer.options) } else { Vec::new() },
    }
}
