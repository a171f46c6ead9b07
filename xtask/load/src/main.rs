//! The benchmark's load generator (`run`) and the hello server of axum (`serve`), which is the
//! limit that results are compared with.
//!
//! A program of its own, built for release, so that neither a debug build nor the task runner
//! stands in the measured path. Deliberately not a general tool: closed loop, keep-alive, HTTP/1.1.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer `9` to everything.
    Serve {
        #[arg(long)]
        port: u16,
    },
    /// Ask a URL again and again; prints one line of JSON.
    Run(Run),
}

#[derive(Args)]
struct Run {
    #[arg(long)]
    url: String,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
    /// The body that every answer must have.
    #[arg(long)]
    expect: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match Cli::parse().command {
        Command::Serve { port } => serve(port).await,
        Command::Run(run) => load(run).await,
    }
}

async fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let router = axum::Router::new().fallback(|| async { "9" });
    Ok(axum::serve(listener, router).await?)
}

async fn load(run: Run) -> Result<(), Failure> {
    let uri: http::Uri = run.url.parse()?;
    let address: SocketAddr = uri.authority().ok_or("the URL has no address")?.as_str().parse()?;
    let end = Instant::now() + Duration::from_millis(run.milliseconds);
    let mut connections = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for _ in 0..run.connections {
        connections.spawn(ask_until(end, address, uri.clone(), run.expect.clone()));
    }
    let mut latencies_us = Vec::new();
    while let Some(one) = connections.join_next().await {
        latencies_us.extend(one??);
    }
    let elapsed = begun.elapsed();
    latencies_us.sort_unstable();
    let at = |share: f64| latencies_us.get((latencies_us.len() as f64 * share) as usize).copied().unwrap_or_default();
    let result = serde_json::json!({
        "requests": latencies_us.len(),
        "per_second": latencies_us.len() as f64 / elapsed.as_secs_f64(),
        "p50_us": at(0.50),
        "p99_us": at(0.99),
    });
    println!("{result}");
    Ok(())
}

/// One connection's loop; any answer but the expected one ends the run.
async fn ask_until(end: Instant, address: SocketAddr, uri: http::Uri, expect: Option<String>) -> Result<Vec<u32>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut latencies_us = Vec::with_capacity(1 << 16);
    while Instant::now() < end {
        let request = http::Request::get(&path).header(http::header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
        let sent = Instant::now();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        latencies_us.push(sent.elapsed().as_micros() as u32);
        if status != http::StatusCode::OK || expect.as_ref().is_some_and(|expect| expect.as_bytes() != body) {
            return Err(format!("{uri} answered {status}: {}", String::from_utf8_lossy(&body)).into());
        }
    }
    Ok(latencies_us)
}
