//! Ranges of byte strings: what begins with a prefix, what comes after a key.

/// The least byte string after all that begin with `prefix`; `None` if there is no such.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let (mut bound, last) = (prefix[..keep].to_vec(), prefix[keep]);
    bound.push(last + 1);
    Some(bound)
}

/// The least byte string after `key`.
pub(super) fn next(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// A bound above every key, for queries that want one: no UTF-8 text begins with it.
pub(super) const END: [u8; 1] = [0xff];

#[cfg(test)]
mod tests {
    #[test]
    fn behind() {
        let check = |prefix: &[u8], expect: Option<&[u8]>| assert_eq!(super::behind(prefix).as_deref(), expect);
        check(b"", None);
        check(b"a/", Some(b"a0"));
        check(b"a\xff\xff", Some(b"b"));
        check(b"\xff", None);
    }
}
