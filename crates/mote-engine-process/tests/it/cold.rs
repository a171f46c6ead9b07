//! How long a cold start takes. Prints and does not judge: machines differ, `cargo xtask bench` judges by ratios.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::house::House;

#[tokio::test]
#[ignore = "a measurement, not a test: cargo test -p mote-engine-process --release -- --ignored --nocapture cold"]
async fn cold_starts() {
    let house = House::new();
    let files = [("f", "#!/bin/true\n")];
    let (f, _) = house.deploy(house.function("executable", "f", |_| {}), &files).await.unwrap();
    let mut plain = Vec::new();
    let mut jailed = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        Command::new("/bin/true").output().unwrap();
        plain.push(begun.elapsed());
        let begun = Instant::now();
        house.run(&f, "", "").await.unwrap();
        jailed.push(begun.elapsed());
    }
    println!("plain spawn of /bin/true: {}", quantiles(plain));
    println!("the same as a function in its jail: {}", quantiles(jailed));
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99))
}
