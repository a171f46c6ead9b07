//! A set of packet numbers, a bit for each: all that there are take 8 KiB.
//!
//! A client of 3.1.1 can't be told how many it may leave open, so it may be every one of them.

#[derive(Default)]
pub(crate) struct Numbers {
    /// As far as the highest that was ever in it.
    bits: Vec<u64>,
    count: usize,
}

impl Numbers {
    pub(crate) fn insert(&mut self, number: u16) {
        let (at, bit) = place(number);
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        if let Some(word) = self.bits.get_mut(at).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.count += 1;
        }
    }

    pub(crate) fn remove(&mut self, number: u16) {
        let (at, bit) = place(number);
        if let Some(word) = self.bits.get_mut(at).filter(|word| **word & bit != 0) {
            *word &= !bit;
            self.count -= 1;
        }
    }

    pub(crate) fn contains(&self, number: u16) -> bool {
        let (at, bit) = place(number);
        self.bits.get(at).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

fn place(number: u16) -> (usize, u64) {
    (usize::from(number / 64), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_there_are_take_8_kib() {
        let mut numbers = Numbers::default();
        (0..=u16::MAX).for_each(|number| numbers.insert(number));
        numbers.insert(7);
        assert_eq!((numbers.len(), numbers.bits.len() * 8), (1 << 16, 8 << 10));
        (0..=u16::MAX).step_by(2).for_each(|number| numbers.remove(number));
        numbers.remove(0);
        assert_eq!(numbers.len(), 1 << 15);
        assert!(numbers.contains(65_535) && numbers.contains(63) && !numbers.contains(64) && !Numbers::default().contains(9));
    }
}
