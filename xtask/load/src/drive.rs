//! What all loads share: so many producers, each with one request in flight, as fast as answers
//! come or at a given rate; and what came of it, as one line of JSON.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::Failure;

#[derive(Args, Clone)]
pub(crate) struct Load {
    /// Producers, each with one request in flight.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    #[arg(long, default_value_t = 1000)]
    pub(crate) milliseconds: u64,
    /// Requests in a second, of all producers together; as fast as answers come, if not given.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
}

/// One connection that asks and waits for its answer.
pub(crate) trait Producer: Send + 'static {
    /// Any answer but the right one is an error, and ends the run.
    fn ask(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

pub(crate) async fn drive<P: Producer>(load: &Load, producers: Vec<P>) -> Result<Value, Failure> {
    let begun = Instant::now();
    let end = begun + Duration::from_millis(load.milliseconds);
    let interval = load.rate.map(|rate| Duration::from_secs_f64(producers.len() as f64 / rate));
    let mut running = tokio::task::JoinSet::new();
    for (number, producer) in producers.into_iter().enumerate() {
        // Spread over the interval, so that they do not come as one.
        let first = begun + interval.unwrap_or_default().mul_f64(number as f64 / load.connections as f64);
        running.spawn(ask_until(end, first, interval, producer));
    }
    let mut latencies_us = Vec::new();
    while let Some(one) = running.join_next().await {
        latencies_us.extend(one??);
    }
    let elapsed = begun.elapsed();
    latencies_us.sort_unstable();
    let at = |share: f64| latencies_us.get((latencies_us.len() as f64 * share) as usize).copied().unwrap_or_default();
    Ok(json!({
        "requests": latencies_us.len(),
        "per_second": latencies_us.len() as f64 / elapsed.as_secs_f64(),
        "p50_us": at(0.50),
        "p99_us": at(0.99),
    }))
}

async fn ask_until<P: Producer>(end: Instant, first: Instant, interval: Option<Duration>, mut producer: P) -> Result<Vec<u32>, Failure> {
    let mut latencies_us = Vec::with_capacity(1 << 16);
    let mut due = first;
    while Instant::now() < end {
        let sent = match interval {
            Some(interval) => {
                tokio::time::sleep_until(due.into()).await;
                // From when it was to be sent: a server that stalls may not hide behind its clients.
                let sent = due;
                due += interval;
                sent
            }
            None => Instant::now(),
        };
        producer.ask().await?;
        latencies_us.push(sent.elapsed().as_micros() as u32);
    }
    Ok(latencies_us)
}
