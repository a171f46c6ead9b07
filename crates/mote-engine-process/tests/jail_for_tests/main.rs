//! The smallest binary that can become a jail.

fn main() {
    if std::env::args_os().next().is_some_and(|name| name == mote_engine_process::JAIL_NAME) {
        mote_engine_process::jail_main();
    }
    for barrier in mote_engine_process::doctor() {
        println!("{barrier:?}");
    }
}
