//! The checksums of S3: five algorithms, over a whole object or over its parts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumType};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// How the checksum of a multipart object is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Over the bytes, as if they had come at once.
    FullObject,
    /// Over the parts' checksums, with their number behind it.
    Composite,
}

impl Algorithm {
    pub(crate) const ALL: [Algorithm; 5] = [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// As the store keeps it and as it ends `x-amz-checksum-…`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "crc32",
            Algorithm::Crc32c => "crc32c",
            Algorithm::Crc64Nvme => "crc64nvme",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name())
    }

    pub(crate) fn default_kind(self) -> Kind {
        match self {
            Algorithm::Crc64Nvme => Kind::FullObject,
            _ => Kind::Composite,
        }
    }

    pub(crate) fn allows(self, kind: Kind) -> bool {
        match self {
            Algorithm::Crc64Nvme => kind == Kind::FullObject,
            Algorithm::Sha1 | Algorithm::Sha256 => kind == Kind::Composite,
            Algorithm::Crc32 | Algorithm::Crc32c => true,
        }
    }

    fn length(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    /// Whether this can be one of its values at all.
    pub(crate) fn accepts(self, value: &str) -> bool {
        STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == self.length())
    }

    fn polynomial(self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(crc_fast::CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(crc_fast::CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::FullObject => ChecksumType::FULL_OBJECT,
            Kind::Composite => ChecksumType::COMPOSITE,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Kind> {
        [Kind::FullObject, Kind::Composite].into_iter().find(|kind| kind.name() == name)
    }
}

/// A running checksum.
pub(crate) struct Tally(ChecksumHasher, Algorithm);

impl Tally {
    pub(crate) fn new(algorithm: Algorithm) -> Tally {
        let mut hasher = ChecksumHasher::default();
        match algorithm {
            Algorithm::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Algorithm::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Algorithm::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Algorithm::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        Tally(hasher, algorithm)
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// In base64.
    pub(crate) fn value(self) -> String {
        let all = self.0.finalize();
        let one = match self.1 {
            Algorithm::Crc32 => all.checksum_crc32,
            Algorithm::Crc32c => all.checksum_crc32c,
            Algorithm::Crc64Nvme => all.checksum_crc64nvme,
            Algorithm::Sha1 => all.checksum_sha1,
            Algorithm::Sha256 => all.checksum_sha256,
        };
        one.unwrap_or_default()
    }
}

/// The checksum of an object from those of its parts (value and size, in order).
pub(crate) fn joined(algorithm: Algorithm, kind: Kind, parts: &[(&str, u64)]) -> Option<String> {
    let values = parts.iter().map(|(value, size)| Some((STANDARD.decode(value).ok()?, *size))).collect::<Option<Vec<_>>>()?;
    match kind {
        Kind::Composite => {
            let mut tally = Tally::new(algorithm);
            values.iter().for_each(|(value, _)| tally.update(value));
            Some(format!("{}-{}", tally.value(), values.len()))
        }
        Kind::FullObject => {
            let polynomial = algorithm.polynomial()?;
            let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
            let mut values = values.iter().map(|(value, size)| (number(value), *size));
            let (first, _) = values.next()?;
            let whole = values.fold(first, |left, (right, size)| crc_fast::checksum_combine(polynomial, left, right, size));
            let bytes = whole.to_be_bytes();
            bytes.get(8 - algorithm.length()..).map(|bytes| STANDARD.encode(bytes))
        }
    }
}

/// Stored checksums in the form of the protocol, with their type.
pub(crate) fn wire(stored: &BTreeMap<String, String>) -> Checksum {
    let get = |algorithm: Algorithm| stored.get(algorithm.name()).cloned();
    let kind = stored.values().next().map(|v| if v.contains('-') { Kind::Composite } else { Kind::FullObject });
    Checksum {
        checksum_crc32: get(Algorithm::Crc32),
        checksum_crc32c: get(Algorithm::Crc32c),
        checksum_crc64nvme: get(Algorithm::Crc64Nvme),
        checksum_sha1: get(Algorithm::Sha1),
        checksum_sha256: get(Algorithm::Sha256),
        checksum_type: kind.map(|kind| ChecksumType::from_static(kind.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, data: &[u8]) -> String {
        let mut tally = Tally::new(algorithm);
        tally.update(data);
        tally.value()
    }

    #[test]
    fn check_values_of_the_algorithms() {
        let check = |algorithm, expect: &str| {
            assert_eq!(of(algorithm, b"123456789"), expect);
            assert!(algorithm.accepts(expect));
        };
        check(Algorithm::Crc32, "y/Q5Jg==");
        check(Algorithm::Crc32c, "4waSgw==");
        check(Algorithm::Crc64Nvme, "rosUhgp5mIg=");
        check(Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE=");
        check(Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
    }

    #[test]
    fn a_full_checksum_joins_out_of_its_parts() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts = [b"hello ".as_slice(), b"", b"wide world"];
            let values: Vec<_> = parts.iter().map(|part| (of(algorithm, part), part.len() as u64)).collect();
            let values: Vec<_> = values.iter().map(|(value, size)| (value.as_str(), *size)).collect();
            assert_eq!(joined(algorithm, Kind::FullObject, &values), Some(of(algorithm, b"hello wide world")));
        }
        assert_eq!(joined(Algorithm::Sha256, Kind::FullObject, &[("AA==", 1)]), None);
        let composite = joined(Algorithm::Sha256, Kind::Composite, &[(&of(Algorithm::Sha256, b"a"), 1)]);
        assert!(composite.is_some_and(|value| value.ends_with("-1")));
    }

    #[test]
    fn a_value_of_the_wrong_length_is_none() {
        assert!(!Algorithm::Crc32.accepts("AAAA"));
        assert!(!Algorithm::Crc32.accepts("not base64"));
    }
}
