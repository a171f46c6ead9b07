//! A small world for mote: a network of its own, a cable, and at its other end every host there is.
//!
//! ```text
//! this process ── unshare ──► hosts: takes every address for its own, serves, writes packets down
//!                               └── unshare ──► cases: mote, its functions, and who judges them
//! ```
//!
//! Both live in new pid and mount namespaces: what a pass leaves behind ends with it, and names are
//! resolved as the world wants it. Built with unshare(1) and netlink, as root and as an ordinary
//! user alike. Nothing in here knows a case.

#[path = "world/hosts.rs"]
mod hosts;
#[path = "world/names.rs"]
mod names;
#[path = "world/netlink.rs"]
mod netlink;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::WaitOptions;

use netlink::{LOOPBACK, Netlink};

/// The hosts' end of the cable, and the name server.
pub(crate) const HOSTS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
/// mote's end: the one address of its host besides loopback.
pub(crate) const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
const HOSTS6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const OWN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
/// What allowed.test is.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

const STAGE: &str = "MOTE_ESCAPE_STAGE";
const PLACE: &str = "MOTE_ESCAPE_PLACE";
/// The binary under test, instead of the one that cargo built with this suite.
const BINARY: &str = "MOTE_BIN";
/// What an ordinary user is called in the pass that root runs.
const NOBODY: u32 = 65534;

/// As whom mote runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Root,
    User,
}

impl Pass {
    pub(crate) const ALL: &[Pass] = &[Pass::Root, Pass::User];

    /// Root can be anybody; whoever is somebody stays it.
    pub(crate) fn of_this_host() -> &'static [Pass] {
        if rustix::process::geteuid().is_root() { Pass::ALL } else { &[Pass::User] }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Pass::Root => "mote as root",
            Pass::User => "mote as an ordinary user",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Pass::Root => "root",
            Pass::User => "user",
        }
    }

    /// A program as mote's user, without a right that this suite has for its own work.
    pub(crate) fn command(self, program: &Path) -> Command {
        let (root, user) = (rustix::process::geteuid().is_root(), NOBODY.to_string());
        let words: &[&str] = match self {
            Pass::User if root => &["--reuid", &user, "--regid", &user, "--clear-groups", "--inh-caps=-all"],
            Pass::User => &["--ambient-caps=-all", "--inh-caps=-all"],
            Pass::Root => &[],
        };
        let mut command = if words.is_empty() { Command::new(program) } else { Command::new("setpriv") };
        if !words.is_empty() {
            command.args(words).arg(program);
        }
        if root {
            // root's own interpreters and settings are not for everybody.
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
        }
        command
    }

    /// A directory that belongs to mote's user.
    pub(crate) fn directory(self, path: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(path)?;
        if self == Pass::User && rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(path.to_owned())
    }
}

/// Which part of the world this process is to be.
pub(crate) enum Stage {
    Hosts(Pass),
    Cases(Pass),
}

impl Stage {
    pub(crate) fn of_this_process() -> Option<Stage> {
        let stage = std::env::var(STAGE).ok()?;
        let (stage, pass) = stage.split_once(' ')?;
        let pass = *Pass::ALL.iter().find(|known| known.name() == pass)?;
        Some(if stage == "hosts" { Stage::Hosts(pass) } else { Stage::Cases(pass) })
    }
}

/// What is laid out for a pass before it leaves this world, where there are packages to be had.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
}

impl Place {
    pub(crate) fn here() -> io::Result<Place> {
        Ok(Place { root: std::env::var_os(PLACE).map(PathBuf::from).ok_or_else(|| io::Error::other("no place was laid out"))? })
    }

    /// A copy that every user can read.
    pub(crate) fn mote(&self) -> PathBuf {
        self.root.join("mote")
    }

    pub(crate) fn wheels(&self) -> PathBuf {
        self.root.join("wheels")
    }

    fn lay_out(&self) -> io::Result<()> {
        let binary = std::env::var_os(BINARY).map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mote")), PathBuf::from);
        println!("  about {}", binary.display());
        std::fs::copy(&binary, self.mote()).map_err(|error| io::Error::other(format!("{}: {error}", binary.display())))?;
        std::fs::write(self.root.join("resolv.conf"), format!("nameserver {HOSTS}\noptions timeout:2 attempts:2\n"))?;
        std::fs::write(self.root.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        // Of any Python: which one mote finds in there is not known here.
        let got = Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
            .args(["--platform=any", "--implementation=py", "--abi=none", "--dest"])
            .arg(self.wheels())
            .args(["requests", "urllib3", "idna", "certifi", "charset-normalizer"])
            .stdin(Stdio::null())
            .status()?;
        if got.success() { Ok(()) } else { Err(io::Error::other("pip could not fetch `requests`, which a case needs")) }
    }
}

/// Runs one pass; whether it was green.
pub(crate) fn run(pass: Pass, words: &[String]) -> bool {
    println!("\n{}", pass.title());
    let outcome = (|| {
        let place = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir()?;
        Place { root: place.path().to_owned() }.lay_out()?;
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        unshare.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]).arg(std::env::current_exe()?).args(words);
        unshare.env(STAGE, format!("hosts {}", pass.name())).env(PLACE, place.path());
        unshare.stdin(Stdio::null()).status()
    })();
    match outcome {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: this pass could not run: {error}");
            false
        }
    }
}

/// The stage that is the rest of the internet. It is process 1 of the world, so it reaps.
pub(crate) fn hosts_main(pass: Pass) -> io::Result<bool> {
    let place = Place::here()?;
    let told = |what: &'static str| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
    for name in ["resolv.conf", "hosts"] {
        rustix::mount::mount_bind(place.root.join(name), Path::new("/etc").join(name)).map_err(|errno| told("/etc")(errno.into()))?;
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut cases = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(STAGE, format!("cases {}", pass.name()))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut lines = BufReader::new(ours.try_clone()?).lines();
    // Only now it has its network.
    lines.next().transpose()?;
    let netlink = Netlink::open()?;
    netlink.cable("cable", "cable", cases.id()).map_err(told("a cable (the kernel's veth)"))?;
    let cable = netlink.index("cable")?;
    netlink.up(LOOPBACK)?;
    for (address, prefix) in addresses(HOSTS, HOSTS6) {
        netlink.address(cable, address, prefix).map_err(told("an address"))?;
    }
    netlink.up(cable)?;
    for (address, _) in addresses(HOSTS, HOSTS6) {
        netlink.everything_is_local(address).map_err(told("a route"))?;
    }
    let own: Vec<IpAddr> = addresses(OWN, OWN6).into_iter().map(|(address, _)| address).collect();
    let seen = hosts::start(&own).map_err(told("the hosts"))?;
    std::thread::spawn(move || {
        let mut ours = ours;
        writeln!(ours, "up")?;
        while lines.next().transpose()?.is_some() {
            let seen = serde_json::to_string(&*seen.lock().expect("nobody panics with it"))?;
            writeln!(ours, "{seen}")?;
        }
        io::Result::Ok(())
    });
    loop {
        let reaped = rustix::process::wait(WaitOptions::empty())?;
        if let Some((pid, status)) = reaped
            && pid.as_raw_nonzero().get() == cases.id() as i32
        {
            // Its handle has nothing left to wait for.
            let _ = cases.try_wait();
            return Ok(status.exit_status() == Some(0));
        }
    }
}

/// The cable as the cases see it, and what has gone out over it.
pub(crate) struct Outside(std::sync::Mutex<(UnixStream, BufReader<UnixStream>)>);

impl Outside {
    /// Waits until the world is there, and plugs this end in.
    pub(crate) fn enter() -> io::Result<Outside> {
        let mut line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut answers = BufReader::new(line.try_clone()?);
        writeln!(line, "here")?;
        if answers.read_line(&mut String::new())? == 0 {
            return Err(io::Error::other("the hosts did not come up"));
        }
        let netlink = Netlink::open()?;
        let cable = netlink.index("cable")?;
        netlink.up(LOOPBACK)?;
        for (address, prefix) in addresses(OWN, OWN6) {
            netlink.address(cable, address, prefix)?;
        }
        netlink.up(cable)?;
        for (address, _) in addresses(HOSTS, HOSTS6) {
            netlink.default_route(cable, address)?;
        }
        Ok(Outside(std::sync::Mutex::new((line, answers))))
    }

    /// `tcp 93.184.216.34:80`, for each target that got a packet so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        let mut both = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (line, answers) = &mut *both;
        let mut seen = String::new();
        writeln!(line, "seen").and_then(|()| answers.read_line(&mut seen)).expect("the hosts live as long as the cases");
        serde_json::from_str(&seen).expect("the hosts speak JSON")
    }
}

fn addresses(four: IpAddr, six: IpAddr) -> Vec<(IpAddr, u8)> {
    let mut all = vec![(four, 30)];
    if Path::new("/proc/net/if_inet6").exists() {
        all.push((six, 64));
    }
    all
}
