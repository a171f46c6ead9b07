//! Where names lead, remembered for a moment: a connection comes right after its look-up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

const FRESH: Duration = Duration::from_secs(30);
const NAMES_MAX: usize = 256;

/// Of one instance. Times are of the monotonic clock.
#[derive(Default)]
pub(super) struct Found(HashMap<String, (Duration, Vec<IpAddr>)>);

impl Found {
    pub(super) fn get(&self, name: &str, now: Duration) -> Option<Vec<IpAddr>> {
        let (at, addresses) = self.0.get(name)?;
        (now < *at + FRESH).then(|| addresses.clone())
    }

    pub(super) fn put(&mut self, name: &str, now: Duration, addresses: &[IpAddr]) {
        if self.0.len() >= NAMES_MAX {
            self.0.retain(|_, (at, _)| now < *at + FRESH);
        }
        // Who asks for so many names in so short a time does without.
        if self.0.len() < NAMES_MAX {
            self.0.insert(name.to_owned(), (now, addresses.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_soon_forgotten_and_never_much() {
        let mut found = Found::default();
        let address = [IpAddr::from([192, 0, 2, 1])];
        found.put("a", Duration::ZERO, &address);
        assert_eq!(found.get("a", FRESH / 2).as_deref(), Some(&address[..]));
        assert_eq!(found.get("a", FRESH), None);
        for n in 0..2 * NAMES_MAX {
            found.put(&n.to_string(), FRESH, &address);
        }
        assert_eq!(found.0.len(), NAMES_MAX);
        assert!(found.get("0", FRESH).is_some());
    }
}
