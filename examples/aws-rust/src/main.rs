//! The formula, on the published Rust runtime of AWS Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::Deserialize;

#[derive(Deserialize)]
struct Formula {
    a: f64,
    b: f64,
    c: f64,
}

async fn formula(event: LambdaEvent<Formula>) -> Result<f64, Error> {
    let Formula { a, b, c } = event.payload;
    Ok((a + b) * c)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(formula)).await
}
