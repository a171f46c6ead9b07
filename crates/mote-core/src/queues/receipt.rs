//! Receipts: the right to settle a message that was received, as a text that nobody can make up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::access::mac::mac;
use crate::clock::Id;
use crate::store::LeaseToken;

const SEAL_BYTES: usize = 16;
const BYTES: usize = 16 + 8 + SEAL_BYTES;

pub(super) struct Receipts {
    key: [u8; 32],
}

impl Receipts {
    pub(super) fn new(key: [u8; 32]) -> Receipts {
        Receipts { key }
    }

    pub(super) fn write(&self, queue: &str, lease: LeaseToken) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(lease.id.0.to_be_bytes());
        bytes.extend(lease.epoch.to_be_bytes());
        bytes.extend(self.seal(queue, lease));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None`: not one of this queue's.
    pub(super) fn read(&self, queue: &str, text: &str) -> Option<LeaseToken> {
        // Longer ones are not even decoded.
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text.get(..BYTES.div_ceil(3) * 4).unwrap_or(text)).ok()?.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (epoch, seal) = rest.split_first_chunk::<8>()?;
        let lease = LeaseToken { id: Id(u128::from_be_bytes(*id)), epoch: u64::from_be_bytes(*epoch) };
        (text == URL_SAFE_NO_PAD.encode(bytes) && bool::from(self.seal(queue, lease).ct_eq(seal))).then_some(lease)
    }

    fn seal(&self, queue: &str, lease: LeaseToken) -> [u8; SEAL_BYTES] {
        let whole = mac(&self.key, "receipt of a message", &[queue.as_bytes(), &lease.id.0.to_be_bytes(), &lease.epoch.to_be_bytes()]);
        let mut seal = [0; SEAL_BYTES];
        seal.copy_from_slice(&whole[..SEAL_BYTES]);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_of_its_queue_alone() {
        let (ours, theirs) = (Receipts::new([1; 32]), Receipts::new([2; 32]));
        let lease = LeaseToken { id: Id(7), epoch: 3 };
        let text = ours.write("queue/default/orders", lease);
        assert_eq!(ours.read("queue/default/orders", &text), Some(lease));
        assert_eq!(ours.read("queue/default/other", &text), None);
        assert_eq!(theirs.read("queue/default/orders", &text), None);
        for bad in ["", "A", "ä", &text[1..], &format!("{text}A"), &text.replace('A', "B"), &"A".repeat(1 << 20)] {
            assert_eq!(ours.read("queue/default/orders", bad), None, "{:.60}", bad);
        }
    }
}
