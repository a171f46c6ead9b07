//! Addresses that stand for names, in one jail: so that a connection tells which name was meant.
//!
//! From 198.18.0.0/15, which is nobody's. The program never sees where a name leads, so what it
//! connects to is judged by name, and a name that changes its address between look-up and
//! connection (DNS rebinding) changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// Names that one jail can have in use; the one that was used longest ago goes first.
const NAMES_MAX: usize = 4096;
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 1]);
const LAST: u32 = u32::from_be_bytes([198, 19, 255, 254]);

/// See the module's text.
#[derive(Default)]
pub(super) struct Names {
    by_name: HashMap<String, Ipv4Addr>,
    by_address: HashMap<Ipv4Addr, Entry>,
    /// From the use longest ago to the last one.
    uses: BTreeMap<u64, Ipv4Addr>,
    clock: u64,
    given: u32,
}

struct Entry {
    name: String,
    used: u64,
}

impl Names {
    /// The address that stands for the name from now on.
    pub(super) fn address(&mut self, name: &str) -> Ipv4Addr {
        if let Some(&address) = self.by_name.get(name) {
            self.touch(address);
            return address;
        }
        if self.by_name.len() >= NAMES_MAX {
            self.forget_oldest();
        }
        let address = self.free();
        self.by_name.insert(name.to_owned(), address);
        self.by_address.insert(address, Entry { name: name.to_owned(), used: 0 });
        self.touch(address);
        address
    }

    pub(super) fn name(&mut self, address: Ipv4Addr) -> Option<String> {
        let name = self.by_address.get(&address)?.name.clone();
        self.touch(address);
        Some(name)
    }

    /// Whether it is one of those that are given out, whatever it stands for now.
    pub(super) fn is_given(address: Ipv4Addr) -> bool {
        (FIRST..=LAST).contains(&u32::from(address))
    }

    fn touch(&mut self, address: Ipv4Addr) {
        self.clock += 1;
        if let Some(entry) = self.by_address.get_mut(&address) {
            self.uses.remove(&entry.used);
            entry.used = self.clock;
            self.uses.insert(self.clock, address);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, address)) = self.uses.pop_first()
            && let Some(entry) = self.by_address.remove(&address)
        {
            self.by_name.remove(&entry.name);
        }
    }

    /// One after the other: whoever still holds a forgotten one finds nobody there for a long time.
    fn free(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from(FIRST + self.given % (LAST - FIRST + 1));
            self.given = self.given.wrapping_add(1);
            if !self.by_address.contains_key(&address) {
                return address;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_others_have_others() {
        let mut names = Names::default();
        let (a, b) = (names.address("a"), names.address("b"));
        assert_eq!((a, b), ([198, 18, 0, 1].into(), [198, 18, 0, 2].into()));
        assert_eq!(names.address("a"), a);
        assert_eq!(names.name(b).as_deref(), Some("b"));
        assert_eq!(names.name([198, 18, 0, 3].into()), None);
        assert!(Names::is_given(a) && !Names::is_given([198, 20, 0, 0].into()) && !Names::is_given([198, 17, 255, 255].into()));
    }

    #[test]
    fn the_name_that_was_used_longest_ago_is_forgotten() {
        let mut names = Names::default();
        let addresses: Vec<_> = (0..NAMES_MAX).map(|n| names.address(&format!("n{n}"))).collect();
        names.name(addresses[0]);
        let next = names.address("next");
        assert_eq!(names.name(addresses[0]).as_deref(), Some("n0"));
        assert_eq!(names.name(addresses[1]), None);
        assert_eq!(names.name(next).as_deref(), Some("next"));
        assert_ne!(names.address("n1"), addresses[1], "not given out again at once");
        for n in 0..3 * (LAST - FIRST) / 2 {
            names.address(&format!("m{n}"));
        }
        let sizes = (names.by_name.len(), names.by_address.len(), names.uses.len());
        assert_eq!(sizes, (NAMES_MAX, NAMES_MAX, NAMES_MAX));
    }
}
