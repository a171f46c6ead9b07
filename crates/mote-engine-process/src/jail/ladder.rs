//! The barriers that not every host has: which are here, what stands in for the others, and what
//! `strict` says to that.
//!
//! What every jail has is not here: a jail without one of those does not start ([`super::Barrier`]).

use mote_core::egress::Egress;
use mote_core::function::{Function, Isolation};
use mote_core::{Code, Error, Result};

use super::cgroup::{Controller, Groups};
use super::doctor::{Check, NO_WAY_OUT};
use super::spec::Network;
use super::{Barrier, landlock, namespaces};

/// Each of them, as this host is now.
pub(super) fn optional(groups: &Groups) -> Vec<Check> {
    let mut rungs = vec![landlock_here()];
    rungs.extend(Controller::ALL.map(|controller| limited_together(groups, controller)));
    rungs.push(namespace("time namespace", namespaces::has_time(), "5.6"));
    rungs.push(namespace("control group namespace", namespaces::has_cgroup(), "4.6"));
    rungs
}

/// Nothing is done by halves: a function that insists on every barrier gets all or does not run.
pub(crate) fn refuse_incomplete(isolation: Isolation, groups: &Groups) -> Result<()> {
    if isolation == Isolation::Standard {
        return Ok(());
    }
    let missing: Vec<_> =
        optional(groups).into_iter().filter(|rung| !rung.enforced).map(|rung| format!("{}: {}", rung.name, rung.why)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::Unsupported,
        format!("the function asks for `isolation = \"strict\"`, and this host lacks {}", missing.join("; ")),
    )
    .hint("`mote doctor` says what to change. With `isolation = \"standard\"` it runs behind the barriers that this host has."))
}

/// A function that asks for a way out has the one through mote or does not run.
pub(crate) fn refuse_without_way_out(egress: &Egress, missing: Option<&str>) -> Result<()> {
    match (egress, missing) {
        (Egress::None, _) | (_, None) => Ok(()),
        (Egress::Public | Egress::Rules(_), Some(why)) => {
            Err(Error::new(Code::Unsupported, format!("the function asks for `egress`, and this host can't lead it through mote: {why}"))
                .hint(NO_WAY_OUT))
        }
    }
}

/// What is around each instance of this function.
pub(crate) fn in_force(function: &Function, groups: &Groups, network: Network) -> Vec<String> {
    let redirected = |barrier: &&Barrier| **barrier != Barrier::Redirects || network == Network::Redirected;
    let always = Barrier::ALL.iter().filter(redirected).map(|barrier| barrier.name());
    // Without a quota there is nothing that the CPU controller would hold it to.
    let cpu = limit_name(Controller::Cpu);
    let here = optional(groups).into_iter().filter(|rung| rung.enforced && (rung.name != cpu || function.limits.cpu_millis > 0));
    always.chain(here.map(|rung| rung.name)).map(str::to_owned).collect()
}

fn landlock_here() -> Check {
    let name = Barrier::Landlock.name();
    match landlock::missing() {
        None if landlock::has_scopes() => Check::stands(name, "files, signals and abstract sockets"),
        None => Check::stands(name, "files; signals and abstract sockets from Linux 6.12 on"),
        Some(why) => Check {
            instead: Some("the read-only mounts alone".to_owned()),
            hint: Some("Boot a kernel from 5.19 on with `landlock` in its list of security modules (`lsm=landlock,…`).".to_owned()),
            ..Check::lacks(name, &why)
        },
    }
    .only_strict()
}

fn limit_name(controller: Controller) -> &'static str {
    match controller {
        Controller::Memory => "memory of all processes together",
        Controller::Cpu => "CPU quota",
        Controller::Pids => "number of processes, by group",
    }
}

fn limited_together(groups: &Groups, controller: Controller) -> Check {
    let name = limit_name(controller);
    let Some(why) = groups.missing(controller) else { return Check::stands(name, "by control group").only_strict() };
    let instead = match controller {
        Controller::Memory => {
            "each process may have `memory` for itself; all together `processes` times as much; memory that they share is bounded by the timeout alone"
        }
        Controller::Cpu => "no more cores than `cpu` comes to, and for a program of one call so much CPU time",
        Controller::Pids => "the number of processes in the user namespace of the jail",
    };
    let hint = "Run mote as a systemd service with `Delegate=yes`, or as `systemd-run --user --scope -p Delegate=yes mote serve`; \
                in a container, give it a control group that it may write to.";
    Check { instead: Some(instead.to_owned()), hint: Some(hint.to_owned()), ..Check::lacks(name, why) }.only_strict()
}

fn namespace(name: &'static str, has: bool, since: &str) -> Check {
    match has {
        true => Check::stands(name, "made with each jail"),
        false => Check {
            instead: Some("nothing: what it would hide can be seen".to_owned()),
            hint: Some(format!("Boot a kernel from {since} on that is built with it.")),
            ..Check::lacks(name, "this kernel has none")
        },
    }
    .only_strict()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_is_refused_where_something_is_missing_and_standard_is_not() {
        let groups = Groups::none("none for this test");
        refuse_incomplete(Isolation::Standard, &groups).unwrap();
        let error = refuse_incomplete(Isolation::Strict, &groups).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.detail().contains("CPU quota: none for this test"), "{error}");
        let function = mote_testkit::function("f");
        assert!(in_force(&function, &groups, Network::Redirected).iter().all(|barrier| !barrier.contains("memory of all")));
    }

    #[test]
    fn what_is_missing_says_what_is_used_instead_and_what_to_do() {
        for rung in optional(&Groups::none("none")).iter().filter(|rung| !rung.enforced) {
            assert!(rung.instead.is_some() && rung.hint.is_some() && rung.required == Isolation::Strict, "{rung:?}");
        }
    }
}
