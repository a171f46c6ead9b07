//! The benchmark's load generator (`run` for HTTP, `nats` and `redis` for the peers of the durable
//! path) and the hello server of axum (`serve`), which is the limit that results are compared with.
//!
//! A program of its own, built for release, so that neither a debug build nor the task runner
//! stands in the measured path. Deliberately not a general tool: keep-alive, HTTP/1.1, and of the
//! peers' protocols only what is measured. Read [`drive`] first.

mod drive;
mod http;
mod nats;
mod redis;

use clap::{Parser, Subcommand};

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
    Run(http::Run),
    /// Publish to a stream of NATS; prints one line of JSON.
    Nats(nats::Publish),
    /// Add to a stream of Redis; prints one line of JSON.
    Redis(redis::Add),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let result = match Cli::parse().command {
        Command::Serve { port } => return http::serve(port).await,
        Command::Run(run) => http::run(run).await?,
        Command::Nats(wish) => nats::publish(wish).await?,
        Command::Redis(wish) => redis::add(wish).await?,
    };
    println!("{result}");
    Ok(())
}
