//! The real binary, from outside: every test starts its own server and speaks to it as a user
//! does. One test binary, so that it is linked once; a topic is a file beside `harness.rs`.

#[path = "e2e/harness.rs"]
mod harness;

#[path = "e2e/access.rs"]
mod access;
#[path = "e2e/aws.rs"]
mod aws;
#[path = "e2e/aws_manifests.rs"]
mod aws_manifests;
#[path = "e2e/calls.rs"]
mod calls;
#[path = "e2e/cli.rs"]
mod cli;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/dev.rs"]
mod dev;
#[path = "e2e/durable.rs"]
mod durable;
#[path = "e2e/flows.rs"]
mod flows;
#[path = "e2e/input.rs"]
mod input;
#[path = "e2e/lifecycle.rs"]
mod lifecycle;
#[path = "e2e/mqtt.rs"]
mod mqtt;
#[path = "e2e/network.rs"]
mod network;
#[path = "e2e/queues.rs"]
mod queues;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/timers.rs"]
mod timers;
#[path = "e2e/tls.rs"]
mod tls;
#[path = "e2e/topics.rs"]
mod topics;
#[path = "e2e/tracing.rs"]
mod tracing;
