//! What the event says to do, on `lambda_runtime`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

static COUNT: AtomicU32 = AtomicU32::new(0);

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let (event, context) = event.into_parts();
    match event["do"].as_str() {
        Some("fail") => Err("boom!".into()),
        Some("exit") => std::process::exit(1),
        Some("hang") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Value::Null)
        }
        Some("large") => Ok("x".repeat(6_291_555).into()),
        _ => Ok(json!({ "got": event, "rid": context.request_id, "count": count })),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}
