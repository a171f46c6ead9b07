//! Which user of the host each jail is, where mote is root: one that no other jail of this server is.
//!
//! The kernel keeps some pots for each user and not for each jail: watches, pipe pages, pending
//! signals, descriptors on their way. Jails that are one user empty them for each other. Inside, every
//! function is [`FUNCTION_ID`] all the same.
//!
//! What has no number of its own is [`FUNCTION_ID`] outside too: an installer, whose files have an
//! owner; and every jail where the numbers are not mote's to give, as in most containers.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::privileges;
use super::spec::{CodeTree, FUNCTION_ID, Shell};

/// Numbers that nothing else gives out: accounts, services and containers have theirs below, and
/// what a signed number can't hold begins above.
const OUTSIDE_OF_ALL: Range<u32> = 0x7000_0000..0x7ffe_0000;
/// More jails than a server has; so a number rests long before it comes again, and whoever is still
/// dying with it is gone.
const OF_A_SERVER: u32 = 1 << 16;

/// Those of one server.
#[derive(Debug)]
pub struct Users {
    /// None where there are no further ones.
    numbers: Range<u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u32,
    taken: HashSet<u32>,
}

/// Its number is given back when it is dropped.
#[derive(Debug)]
pub(super) struct User {
    id: u32,
    users: Arc<Users>,
}

impl Users {
    /// Where they begin is chance's to say, so that two servers of a host hardly share any.
    pub fn open(chance: [u8; 32]) -> Arc<Users> {
        let [a, b, c, d, ..] = chance;
        let first = OUTSIDE_OF_ALL.start + u32::from_ne_bytes([a, b, c, d]) % (OUTSIDE_OF_ALL.end - OUTSIDE_OF_ALL.start - OF_A_SERVER);
        let numbers = if missing().is_none() { first..first + OF_A_SERVER } else { 0..0 };
        Arc::new(Users { numbers, state: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, shell: &Shell) -> User {
        let own = match shell.code {
            CodeTree::Below(_) => self.free(),
            CodeTree::Building(_) => None,
        };
        User { id: own.unwrap_or(FUNCTION_ID), users: self.clone() }
    }

    /// One after the other, round and round.
    fn free(&self) -> Option<u32> {
        let count = self.numbers.end - self.numbers.start;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.taken.len() >= count as usize {
            return None;
        }
        loop {
            let id = self.numbers.start + state.next % count;
            state.next = (state.next + 1) % count;
            if state.taken.insert(id) {
                return Some(id);
            }
        }
    }
}

impl User {
    pub(super) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.users.state.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&self.id);
    }
}

/// Why jails share a user of the host, if they do.
pub(super) fn missing() -> Option<&'static str> {
    if !privileges::is_root().unwrap_or(false) {
        return Some("all functions are, to the host, mote's own user, as mote is not root");
    }
    let all = |map: &str| fs::read_to_string(map).is_ok_and(|map| has_all(&map));
    if all("/proc/self/uid_map") && all("/proc/self/gid_map") {
        return None;
    }
    Some("all functions are one user of the host, as this container has too few: give it the ids from 1879048192 on too")
}

fn has_all(map: &str) -> bool {
    privileges::knows(map, OUTSIDE_OF_ALL.start, OUTSIDE_OF_ALL.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_jails_are_one_user_and_a_number_rests_before_it_comes_again() {
        let users = Arc::new(Users { numbers: 100..103, state: Mutex::default() });
        let take = || User { id: users.free().unwrap_or(FUNCTION_ID), users: users.clone() };
        let (first, second) = (take(), take());
        assert_eq!((first.id(), second.id()), (100, 101));
        drop(first);
        let third = take();
        assert_eq!(third.id(), 102, "not the one that was given back just now");
        let again = take();
        assert_eq!(again.id(), 100);
        assert_eq!(take().id(), FUNCTION_ID, "when all are taken");
        drop(second);
        assert_eq!(take().id(), 101);
    }

    #[test]
    fn only_a_map_with_all_of_them_will_do() {
        assert!(has_all("         0          0 4294967295\n"));
        assert!(!has_all("0 100000 65536"), "a container");
        assert!(!has_all("0 1000 1\n1 100000 65536\n"), "a container of an ordinary user");
        assert!(!has_all("0 0 1879048193"), "the first alone");
        assert!(!has_all("words, and no numbers"));
    }

    #[test]
    fn where_a_server_begins_is_chance_and_all_of_its_numbers_are_outside() {
        for chance in [[0; 32], [0xff; 32], [0x5a; 32]] {
            let numbers = Users::open(chance).numbers.clone();
            assert!(numbers.is_empty() || (OUTSIDE_OF_ALL.contains(&numbers.start) && numbers.end <= OUTSIDE_OF_ALL.end), "{numbers:?}");
        }
    }
}
