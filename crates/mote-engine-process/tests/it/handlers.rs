//! AWS's handlers on mote's own runners, where a call's end and its process's are not the same moment.

use mote_core::Code;
use serde_json::json;

use crate::house::House;
use crate::pulls::{failure, run, said};

const CODE: &str = r#"
let count = 0;
exports.h = async ({ what }) => {
  count += 1;
  if (what === 'lost') {
    Promise.reject(new Error('nobody awaits it'));
    await new Promise((go) => setTimeout(go, 60000));
  }
  return { count };
};
"#;

#[tokio::test]
async fn whose_last_word_a_failure_was_gets_no_call_any_more() {
    let house = House::new();
    let f = house.function("node", "app.h", |f| {
        f.dialect = "aws".into();
        f.contract_env = [("AWS_EXECUTION_ENV".into(), "AWS_Lambda_nodejs20.x".into())].into();
        f.limits.instances_max = 1;
    });
    let (f, _) = house.deploy(f, &[("app.js", CODE)]).await.unwrap();
    for _ in 0..5 {
        // The second waits for the place of the first.
        let (lost, next) = tokio::join!(failure(&house, &f, json!({"what": "lost"})), run(&house, &f, json!({})));
        assert_eq!(lost.kind, "Runtime.UnhandledPromiseRejection");
        assert_eq!(next.map(drop).map_err(|error| error.code()), Ok::<(), Code>(()));
    }
    assert!(said(&house, &f, json!({})).await["count"].as_u64().unwrap() >= 2, "a new one is kept");
}
