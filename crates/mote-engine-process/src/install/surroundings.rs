//! What an installer sees of the host besides its interpreter: where to fetch from, whom to trust,
//! and nothing else.
//!
//! Configuration files and what they name are shown at their own paths, so that they mean in the
//! jail what they mean outside. Files are copies: mote's user may be the only one who can read the
//! real ones. So an install script can read the credentials in them, as the installer must.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::artifact::Building;
use crate::jail::etc;
use crate::jail::spec::Shown;
use crate::runtime::Interpreter;

/// What an installer may know of mote's environment.
const ENV: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
const PREFIXES: &[&str] = &["PIP_", "NPM_CONFIG_", "npm_config_"];
/// Settings that name where to write, which is decided already.
const DROPPED: &[&str] = &["cache", "cache-dir", "no-cache-dir", "log", "logs-dir", "target", "prefix", "root", "user", "src", "tmp"];
/// Settings whose values name files and directories to read.
const NAMING: &[&str] = &[
    "cafile",
    "cert",
    "certfile",
    "client-cert",
    "config-file",
    "constraint",
    "curl-ca-bundle",
    "find-links",
    "globalconfig",
    "keyfile",
    "node-extra-ca-certs",
    "nodedir",
    "requests-ca-bundle",
    "ssl-cert-dir",
    "ssl-cert-file",
    "userconfig",
];
/// Of the whole host, and of one user.
const HOST_FILES: &[&str] = &["/etc/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/npmrc"];
const USER_FILES: &[&str] = &[".pip/pip.conf", ".config/pip/pip.conf", ".npmrc"];
/// Public certificates, where distributions keep them.
const CERTIFICATES: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates/extracted"];

/// Past this a file is no configuration, and is shown instead of copied.
const COPY_BYTES_MAX: u64 = 1 << 20;
/// In the directory that is being built, and gone with it.
const HOME: &str = ".mote/home";
const TMP: &str = ".mote/tmp";

pub(super) struct Surroundings {
    pub(super) env: Vec<(String, String)>,
    pub(super) show: Vec<Shown>,
    pub(super) etc: PathBuf,
    /// Files for the installer's home.
    home: Vec<(&'static str, Vec<u8>)>,
    hidden: Vec<PathBuf>,
    copies: Building,
}

impl Surroundings {
    /// `env` is mote's own environment; `cache` a directory for copies, which live as long as this.
    pub(super) fn gather(env: &BTreeMap<String, String>, interpreter: &Interpreter, hidden: &[PathBuf], cache: &Path) -> io::Result<Self> {
        let copies = Building::new(cache)?;
        let etc = copies.path.join("etc");
        fs::create_dir(&etc)?;
        etc::fill_for_network(&etc)?;
        let show = interpreter.mounts.iter().cloned().map(Shown::in_place).collect();
        let mut all = Surroundings { env: Vec::new(), show, etc, home: Vec::new(), hidden: hidden.to_vec(), copies };
        CERTIFICATES.iter().chain(HOST_FILES).try_for_each(|path| all.name(Path::new(path)))?;
        if let Some(prefix) = interpreter.program.parent().and_then(Path::parent) {
            all.name(&prefix.join("etc/npmrc"))?;
        }
        all.users_files(env)?;
        all.environment(env, interpreter)?;
        Ok(all)
    }

    /// Makes the installer's home in the directory that is being built.
    pub(super) fn furnish(&self, build: &Path) -> io::Result<()> {
        fs::create_dir_all(build.join(TMP))?;
        fs::create_dir_all(build.join(HOME))?;
        self.home.iter().try_for_each(|(path, text)| etc::write(&build.join(HOME), Path::new(path), text))
    }

    /// One more tree or file that must be there.
    pub(super) fn also(&mut self, tree: PathBuf) {
        self.show.push(Shown::in_place(tree));
    }

    fn users_files(&mut self, env: &BTreeMap<String, String>) -> io::Result<()> {
        let Some(home) = env.get("HOME").map(Path::new).filter(|home| home.is_absolute()) else { return Ok(()) };
        for &path in USER_FILES {
            let outside = match (path.strip_prefix(".config/"), env.get("XDG_CONFIG_HOME")) {
                (Some(below), Some(config)) => Path::new(config).join(below),
                _ => home.join(path),
            };
            // What mote can't read, its installers don't have.
            if let Ok(text) = fs::read(outside) {
                self.named_in(&text)?;
                self.home.push((path, text));
            }
        }
        Ok(())
    }

    fn environment(&mut self, env: &BTreeMap<String, String>, interpreter: &Interpreter) -> io::Result<()> {
        for (name, value) in env {
            let prefix = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
            if prefix.is_none() && !ENV.contains(&name.as_str()) {
                continue;
            }
            let key = prefix.unwrap_or(name).to_ascii_lowercase().replace('_', "-");
            if prefix.is_some() && DROPPED.contains(&key.as_str()) {
                continue;
            }
            self.named_by(&key, value)?;
            self.env.push((name.clone(), value.clone()));
        }
        let beside = interpreter.program.parent().unwrap_or(Path::new("/usr/bin")).display();
        for (name, value) in [
            ("PATH", format!("{beside}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")),
            ("HOME", format!("/code/{HOME}")),
            ("TMPDIR", format!("/code/{TMP}")),
            ("LANG", "C.UTF-8".to_owned()),
            // What configuration files say of caches does not hold in the jail.
            ("PIP_NO_CACHE_DIR", "1".to_owned()),
            ("npm_config_cache", format!("/code/{HOME}/.npm")),
        ] {
            self.env.push((name.to_owned(), value));
        }
        Ok(())
    }

    /// The paths in a configuration file of pip or npm: `key = value`, the value maybe on lines of its own.
    fn named_in(&mut self, text: &[u8]) -> io::Result<()> {
        let mut key = String::new();
        for line in String::from_utf8_lossy(text).lines() {
            let value = match line.split_once('=') {
                Some((name, value)) if !line.starts_with([' ', '\t']) => {
                    // npm's are like `//host/:certfile`.
                    key = name.trim().rsplit(':').next().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
                    value
                }
                _ => line,
            };
            self.named_by(&key, value)?;
        }
        Ok(())
    }

    fn named_by(&mut self, key: &str, value: &str) -> io::Result<()> {
        if !NAMING.contains(&key) {
            return Ok(());
        }
        let separators: &[char] = if key == "ssl-cert-dir" { &[':'] } else { &[' ', '\t', '\n'] };
        for word in value.split(separators) {
            let word = word.trim_matches(['"', '\'']);
            let path = Path::new(word.strip_prefix("file://").unwrap_or(word));
            self.name(path)?;
            if key.ends_with("config") || key == "config-file" {
                // One level: a configuration file names no other.
                if let Ok(text) = fs::read(path) {
                    self.named_in(&text)?;
                }
            }
        }
        Ok(())
    }

    /// Shows a path of the host, unless it is not there, or everybody's, or to be hidden.
    fn name(&mut self, path: &Path) -> io::Result<()> {
        let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
        let own = ["/usr", "/proc", "/sys", "/dev", "/code", "/runner"].iter().any(|root| path.starts_with(root));
        let hidden = self.hidden.iter().any(|hidden| path.starts_with(hidden));
        if !path.is_absolute() || !plain || own || hidden || path.parent().is_none() || path == Path::new("/etc") {
            return Ok(());
        }
        if self.show.iter().any(|shown| path.starts_with(&shown.at)) {
            return Ok(());
        }
        let Ok(meta) = fs::metadata(path) else { return Ok(()) };
        let below_etc = path.strip_prefix("/etc").ok();
        if meta.is_file() && meta.len() <= COPY_BYTES_MAX {
            let Ok(content) = fs::read(path) else { return Ok(()) };
            if let Some(below) = below_etc {
                return etc::write(&self.etc, below, &content);
            }
            let copy = format!("{}", self.show.len());
            etc::write(&self.copies.path, Path::new(&copy), &content)?;
            self.show.push(Shown { from: self.copies.path.join(copy), at: path.to_owned() });
            return Ok(());
        }
        // A mount needs something to lie on, and the jail's /etc is read-only when it gets there.
        match below_etc {
            Some(below) if meta.is_dir() => fs::create_dir_all(self.etc.join(below))?,
            Some(below) => etc::write(&self.etc, below, b"")?,
            None => {}
        }
        self.show.push(Shown::in_place(path.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mote_core::function::Family;

    use super::*;

    #[test]
    fn what_settings_name_is_shown_and_what_is_hidden_is_not() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        for (path, text) in [
            ("home/.npmrc", format!("//registry/:keyfile={}\ncache=/var\n", at("key").display())),
            ("home/.config/pip/pip.conf", format!("[global]\nfind-links =\n    {}\n    /nowhere\n", at("wheels").display())),
            ("key", "key".into()),
            ("wheels/a.whl", String::new()),
            ("data/mote.db", String::new()),
            ("more.conf", format!("[global]\ncert = {}\n", at("cert").display())),
            ("cert", "cert".into()),
        ] {
            etc::write(place.path(), Path::new(path), text.as_bytes()).unwrap();
        }
        let of = |path: &str| at(path).display().to_string();
        let env = [
            ("HOME", of("home")),
            ("PIP_FIND_LINKS", format!("https://a.example {} / /etc {}/../x", of("data"), of("wheels"))),
            ("PIP_CONFIG_FILE", of("more.conf")),
            ("PIP_CACHE_DIR", "/var".into()),
            ("NPM_CONFIG_PREFIX", "/var".into()),
            ("SECRET", "x".into()),
        ];
        let env: BTreeMap<_, _> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let interpreter =
            Interpreter { family: Family::Python, program: "/usr/bin/python3".into(), version: "3.11".into(), mounts: Vec::new() };
        let around = Surroundings::gather(&env, &interpreter, &[at("data")], &at("cache")).unwrap();
        let mut shown: Vec<_> = around.show.iter().filter_map(|shown| shown.at.strip_prefix(place.path()).ok()).collect();
        shown.sort();
        assert_eq!(shown, ["cert", "key", "more.conf", "wheels"].map(Path::new));
        let copy = around.show.iter().find(|shown| shown.at == at("key")).unwrap();
        assert_ne!(copy.from, copy.at);
        let names: Vec<_> = around.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["PIP_CONFIG_FILE", "PIP_FIND_LINKS", "PATH", "HOME", "TMPDIR", "LANG", "PIP_NO_CACHE_DIR", "npm_config_cache"]);
        around.furnish(&at("build")).unwrap();
        assert!(at("build").join(HOME).join(".npmrc").is_file() && at("build").join(HOME).join(".config/pip/pip.conf").is_file());
        let copies = around.copies.path.clone();
        drop(around);
        assert!(!copies.exists(), "no credential stays");
    }
}
