//! The smallest binary that can become a jail; without being asked to, it says what `mote doctor` would.

fn main() {
    if std::env::args_os().next().is_some_and(|name| name == mote_engine_process::JAIL_NAME) {
        mote_engine_process::jail_main();
    }
    println!("{}", serde_json::json!(mote_engine_process::doctor()));
}
