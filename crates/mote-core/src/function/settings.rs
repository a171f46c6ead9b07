//! What stands beside a function's versions and outlives them: names for versions, how many calls it
//! may run at once, how each of them gets the events that nobody waits for.
//!
//! A version is never changed; these are, by [`crate::action::Action::Configure`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::delivery::Delivery;
use super::{Function, Name, Qualifier};
use crate::action::SettingsPatch;
use crate::clock::Id;
use crate::error::{Code, Error, Result};

/// Of one function.
const ALIASES_MAX: usize = 200;
/// As a manifest's `instances_min`.
const INSTANCES_MIN_MAX: u32 = 1000;
/// What dialects remember of it, as JSON.
const ABOUT_BYTES_MAX: usize = 256 << 10;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<Name, Alias>,
    /// In place of a version's own, for calls that name it so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub deliveries: BTreeMap<Qualifier, Delivery>,
    /// Of a version that is called so, beside what its own limits say: kept started though nobody calls. The
    /// draft is none of these, nor the live version as such, whose manifest says it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instances_min: BTreeMap<Qualifier, u32>,
    /// Calls of all its versions at once, whatever their limits say; who comes beyond it does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<u32>,
    /// What its dialect remembers of it, and nobody else reads.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

/// A name for a version, which may be given to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    pub version: u64,
    /// Other versions that get a share of the calls, each from 0 to 1; the rest is the first one's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<u64, f64>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

impl Settings {
    pub fn is_empty(&self) -> bool {
        *self == Settings::default()
    }

    /// With the patch; an error if it names what is not there.
    pub(crate) fn patched(&self, patch: SettingsPatch, versions: &[u64]) -> Result<Settings> {
        let mut next = self.clone();
        for (name, alias) in patch.aliases {
            match alias {
                Some(alias) => {
                    Qualifier::alias(name.as_str())?;
                    alias.check(&name, versions)?;
                    next.aliases.insert(name, alias);
                }
                None => {
                    next.aliases.remove(&name);
                    let gone = Qualifier::Alias(name);
                    next.deliveries.remove(&gone);
                    next.instances_min.remove(&gone);
                }
            }
        }
        for (qualifier, delivery) in patch.deliveries {
            match delivery {
                Some(delivery) if next.knows(&qualifier, versions) => drop(next.deliveries.insert(qualifier, delivery)),
                Some(_) => return Err(Error::new(Code::VersionNotFound, format!("there is no version or alias {qualifier}"))),
                None => drop(next.deliveries.remove(&qualifier)),
            }
        }
        for (qualifier, instances) in patch.instances_min {
            match instances {
                Some(instances) => {
                    next.keepable(&qualifier, instances, versions)?;
                    next.instances_min.insert(qualifier, instances);
                }
                None => drop(next.instances_min.remove(&qualifier)),
            }
        }
        next.concurrency_max = patch.concurrency_max.unwrap_or(next.concurrency_max);
        for (name, value) in patch.about {
            match value {
                Value::Null => drop(next.about.remove(&name)),
                value => drop(next.about.insert(name, value)),
            }
        }
        next.check_size()?;
        Ok(next)
    }

    /// Without what was said of versions other than these.
    pub(crate) fn retain(&mut self, versions: &[u64]) {
        let is_there = |qualifier: &Qualifier| !matches!(qualifier, Qualifier::Version(version) if !versions.contains(version));
        self.deliveries.retain(|qualifier, _| is_there(qualifier));
        self.instances_min.retain(|qualifier, _| is_there(qualifier));
    }

    fn keepable(&self, qualifier: &Qualifier, instances: u32, versions: &[u64]) -> Result<()> {
        if qualifier.is_live() {
            return Err(Error::new(Code::RequestInvalid, "instances are kept ready of a version or an alias")
                .hint("Of the live version the manifest's `instances_min` says it."));
        }
        if !self.knows(qualifier, versions) {
            return Err(Error::new(Code::VersionNotFound, format!("there is no version or alias {qualifier}")));
        }
        if !(1..=INSTANCES_MIN_MAX).contains(&instances) {
            return Err(Error::new(
                Code::RequestInvalid,
                format!("{instances} instances kept ready; there may be 1 to {INSTANCES_MIN_MAX}"),
            ));
        }
        Ok(())
    }

    /// Which version is called so, where that is said here: of an alias its own one.
    pub(crate) fn version_of(&self, qualifier: &Qualifier) -> Option<u64> {
        match qualifier {
            Qualifier::Live => None,
            Qualifier::Version(version) => Some(*version),
            Qualifier::Alias(name) => self.aliases.get(name).map(|alias| alias.version),
        }
    }

    /// What is to be kept of each version, by all the names that lead to it. A draft changes under its
    /// name: of that nothing is.
    pub(crate) fn minimums(&self) -> BTreeMap<u64, u32> {
        let mut minimums = BTreeMap::new();
        for (qualifier, instances) in &self.instances_min {
            if let Some(version) = self.version_of(qualifier).filter(|version| *version != Function::DRAFT) {
                let sum: &mut u32 = minimums.entry(version).or_default();
                *sum = sum.saturating_add(*instances);
            }
        }
        minimums
    }

    pub(crate) fn knows(&self, qualifier: &Qualifier, versions: &[u64]) -> bool {
        match qualifier {
            Qualifier::Live => true,
            Qualifier::Version(version) => versions.contains(version),
            Qualifier::Alias(name) => self.aliases.contains_key(name),
        }
    }

    fn check_size(&self) -> Result<()> {
        if self.aliases.len() > ALIASES_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("a function has at most {ALIASES_MAX} aliases")));
        }
        let abouts = self.aliases.values().map(|alias| &alias.about).chain([&self.about]);
        let bytes: usize = abouts.map(|about| serde_json::to_vec(about).map_or(0, |text| text.len())).sum();
        if bytes > ABOUT_BYTES_MAX {
            let detail = format!("what is said of the function has {bytes} bytes, and may have {ABOUT_BYTES_MAX}");
            return Err(Error::new(Code::QuotaExceeded, detail));
        }
        Ok(())
    }

    /// An alias that leads to a version, which can't be dropped then.
    pub(crate) fn leads_to(&self, version: u64) -> Option<&Name> {
        let leads = |alias: &Alias| alias.version == version || alias.shares.contains_key(&version);
        self.aliases.iter().find(|(_, alias)| leads(alias)).map(|(name, _)| name)
    }

    /// A version as it is called by that name. Instances that are kept for it may all be used at once.
    pub(crate) fn applied(&self, function: Arc<Function>, qualifier: &Qualifier) -> Arc<Function> {
        let delivery = self.delivery(&function, qualifier);
        let instances = self.instances_min.get(qualifier).copied().filter(|kept| *kept > function.limits.instances_max);
        if delivery.is_none() && instances.is_none() {
            return function;
        }
        let mut function = Arc::unwrap_or_clone(function);
        function.delivery = delivery.unwrap_or(function.delivery);
        function.limits.instances_max = instances.unwrap_or(function.limits.instances_max);
        Arc::new(function)
    }

    /// Where dead letters go is a version's own, unless it is said here as well.
    pub(crate) fn delivery(&self, function: &Function, qualifier: &Qualifier) -> Option<Delivery> {
        let said = self.deliveries.get(qualifier)?.clone();
        let dead_letters = said.dead_letters.clone().or_else(|| function.delivery.dead_letters.clone());
        Some(Delivery { dead_letters, ..said })
    }
}

impl Alias {
    fn check(&self, name: &Name, versions: &[u64]) -> Result<()> {
        if let Some(gone) = std::iter::once(&self.version).chain(self.shares.keys()).find(|version| !versions.contains(version)) {
            return Err(Error::new(Code::VersionNotFound, format!("the alias {name} leads to the version {gone}, which is not there")));
        }
        let sound = |share: &f64| (0.0..=1.0).contains(share);
        if !self.shares.values().all(sound) || self.shares.values().sum::<f64>() > 1.0 || self.shares.contains_key(&self.version) {
            return Err(Error::new(Code::RequestInvalid, format!("the shares of the alias {name} are not parts of the calls"))
                .hint("Each is from 0 to 1, all together at most 1, and none is that of the alias's own version."));
        }
        Ok(())
    }

    /// The version of a call: by the random tail of its id, so that each attempt of it gets the same.
    pub(crate) fn draw(&self, call: Id) -> u64 {
        let mut at = f64::from(call.0 as u32) / (f64::from(u32::MAX) + 1.0);
        for (&version, share) in &self.shares {
            if at < *share {
                return version;
            }
            at -= share;
        }
        self.version
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn alias(version: u64, shares: &[(u64, f64)]) -> SettingsPatch {
        let alias = Alias { version, shares: shares.iter().copied().collect(), ..Alias::default() };
        SettingsPatch { aliases: [(name("live"), Some(alias))].into(), ..SettingsPatch::default() }
    }

    #[test]
    fn an_alias_leads_to_what_is_there() {
        let settings = Settings::default();
        let set = settings.patched(alias(1, &[(2, 0.25)]), &[0, 1, 2]).unwrap();
        assert_eq!((set.leads_to(1), set.leads_to(2), set.leads_to(0)), (Some(&name("live")), Some(&name("live")), None));
        for (patch, code) in [
            (alias(3, &[]), Code::VersionNotFound),
            (alias(1, &[(3, 0.1)]), Code::VersionNotFound),
            (alias(1, &[(2, 1.1)]), Code::RequestInvalid),
            (alias(1, &[(2, f64::NAN)]), Code::RequestInvalid),
            (alias(1, &[(2, 0.6), (0, 0.6)]), Code::RequestInvalid),
            (alias(1, &[(1, 0.5)]), Code::RequestInvalid),
        ] {
            assert_eq!(settings.patched(patch, &[0, 1, 2]).unwrap_err().code(), code);
        }
    }

    #[test]
    fn what_a_patch_does_not_name_stays() {
        let about = |value: Value| SettingsPatch { about: value.as_object().unwrap().clone(), ..SettingsPatch::default() };
        let set = Settings::default().patched(about(json!({"a": 1, "b": 2})), &[]).unwrap();
        let set = set.patched(SettingsPatch { concurrency_max: Some(Some(5)), ..about(json!({"a": null})) }, &[]).unwrap();
        assert_eq!((Value::from(set.about.clone()), set.concurrency_max), (json!({"b": 2}), Some(5)));
        let set = set.patched(SettingsPatch { concurrency_max: Some(None), ..SettingsPatch::default() }, &[]).unwrap();
        assert_eq!((set.about.len(), set.concurrency_max), (1, None));
    }

    #[test]
    fn a_delivery_goes_with_its_alias() {
        let of = |qualifier: &str| Qualifier::try_from(qualifier.to_owned()).unwrap();
        let deliver = |qualifier| SettingsPatch { deliveries: [(of(qualifier), Some(Delivery::default()))].into(), ..Default::default() };
        let set = Settings::default();
        assert_eq!(set.patched(deliver("live"), &[1]).unwrap_err().code(), Code::VersionNotFound);
        assert_eq!(set.patched(deliver("2"), &[1]).unwrap_err().code(), Code::VersionNotFound);
        let set = set.patched(alias(1, &[]), &[1]).unwrap().patched(deliver("live"), &[1]).unwrap();
        let set = set.patched(deliver("1"), &[1]).unwrap().patched(deliver("$live"), &[1]).unwrap();
        let mut left = set.clone();
        left.retain(&[2]);
        assert_eq!(left.deliveries.len(), 2);
        let gone = SettingsPatch { aliases: [(name("live"), None)].into(), ..Default::default() };
        assert_eq!(set.patched(gone, &[1]).unwrap().deliveries.keys().cloned().collect::<Vec<_>>(), [of("$live"), of("1")]);
    }

    #[test]
    fn instances_are_kept_of_what_is_there() {
        let of = |qualifier: &str| Qualifier::try_from(qualifier.to_owned()).unwrap();
        let keep = |qualifier, instances| SettingsPatch { instances_min: [(of(qualifier), instances)].into(), ..SettingsPatch::default() };
        let set = Settings::default().patched(alias(1, &[]), &[0, 1, 2]).unwrap();
        for (patch, code) in [
            (keep("3", Some(1)), Code::VersionNotFound),
            (keep("stable", Some(1)), Code::VersionNotFound),
            (keep("$live", Some(1)), Code::RequestInvalid),
            (keep("1", Some(0)), Code::RequestInvalid),
            (keep("1", Some(1001)), Code::RequestInvalid),
        ] {
            assert_eq!(set.patched(patch, &[0, 1, 2]).unwrap_err().code(), code);
        }
        let set = set.patched(keep("live", Some(2)), &[1]).unwrap().patched(keep("1", Some(3)), &[1]).unwrap();
        assert_eq!(set.minimums(), [(1, 5)].into());
        let moved = set.patched(alias(2, &[]), &[1, 2]).unwrap();
        assert_eq!(moved.minimums(), [(1, 3), (2, 2)].into());
        assert_eq!(set.patched(alias(0, &[]), &[0, 1]).unwrap().minimums(), [(1, 3)].into());
        let mut left = moved.clone();
        left.retain(&[2]);
        assert_eq!(left.minimums(), [(2, 2)].into());
        assert_eq!(moved.patched(keep("1", None), &[]).unwrap().minimums(), [(2, 2)].into());
        let gone = SettingsPatch { aliases: [(name("live"), None)].into(), ..Default::default() };
        assert_eq!(moved.patched(gone, &[1]).unwrap().minimums(), [(1, 3)].into());
    }

    #[test]
    fn shares_are_drawn_as_they_are() {
        let alias = Alias { version: 1, shares: [(2, 0.25), (3, 0.5)].into(), ..Alias::default() };
        let drawn = |version| (0..400_u128).filter(|call| alias.draw(Id(call * (1 << 32) / 400)) == version).count();
        assert_eq!((drawn(1), drawn(2), drawn(3)), (100, 100, 200));
        assert_eq!(Alias { version: 7, ..Alias::default() }.draw(Id(9)), 7);
    }
}
