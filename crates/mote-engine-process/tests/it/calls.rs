//! One call of each kind, from the engine's door to the code and back.

use crate::house::House;

#[tokio::test]
async fn a_python_function_answers() {
    let house = House::new();
    let code = "def f(a: float, b: float) -> float:\n    return a + b\n";
    let (f, prepared) = house.deploy(house.function("python", "f.py:f", |_| {}), &[("f.py", code)]).await.unwrap();
    assert_eq!(prepared.signature.parameters.len(), 2);
    assert_eq!(house.call(&f, "a=1&b=2", "").await.unwrap(), "3.0");
    let output = house.run(&f, "a=1&b=2", "").await.unwrap();
    assert!(!output.timing.cold, "the instance that the deploy started is warm");
}

#[tokio::test]
async fn a_node_function_answers() {
    let house = House::new();
    let code = "export default function f(a, b) { return a + b }\n";
    let (f, _) = house.deploy(house.function("node", "f.mjs", |_| {}), &[("f.mjs", code)]).await.unwrap();
    assert_eq!(house.call(&f, "a=1&b=2", "").await.unwrap(), "3");
}

#[tokio::test]
async fn a_shell_script_answers() {
    let house = House::new();
    let code = "#!/bin/sh\nread line\necho \"$MOTE_QUERY $line\"\n";
    let (f, _) = house.deploy(house.function("executable", "f.sh", |_| {}), &[("f.sh", code)]).await.unwrap();
    assert_eq!(house.call(&f, "a=1", "in").await.unwrap(), "a=1 in\n");
}
