//! The memory that a server at rest is counted for: pages of its own code that only the start used.
//!
//! The kernel maps the pages around each one that is touched, so that after a start most of the
//! binary counts as resident though little of it runs again. What is let go of here is read-only
//! and in the page cache; what is needed again comes from there. Not here: memory that was
//! written, which is the allocator's.

#![allow(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;

/// To be called once the start is over. A host that does not tell where the code lies loses nothing.
pub fn let_go_of_code() {
    let Ok(own) = fs::metadata("/proc/self/exe") else { return };
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(|line| code(line, own.ino())) {
        // SAFETY: the pages are the executable's own, mapped privately and not writable, so they hold
        // what the file holds; the file can't be written while it is executed. Whoever runs in them
        // or reads them meanwhile has them again at the next touch, with the same content.
        let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// From where to where, if the line of `maps` is code of that file that nobody can have written to.
fn code(line: &str, inode: u64) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let of_file = words.nth(2)?.parse() == Ok(inode);
    let (start, end) = range.split_once('-')?;
    let range = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (rights == "r-xp" && of_file && range.0 < range.1).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_file_is_let_go_of() {
        let check = |line: &str, expect| assert_eq!(code(line, 77), expect, "{line}");
        check("55d0c000-55d0e000 r-xp 00001000 fe:00 77    /opt/mote", Some((0x55d0_c000, 0x55d0_e000)));
        check("55d0c000-55d0e000 r--p 00001000 fe:00 77    /opt/mote", None);
        check("55d0c000-55d0e000 rwxp 00001000 fe:00 77    /opt/mote", None);
        check("7f00c000-7f00e000 r-xp 00001000 fe:00 78    /lib/libc.so.6", None);
        check("7ffc0000-7ffc2000 r-xp 00000000 00:00 0     [vdso]", None);
        check("55d0e000-55d0c000 r-xp 00001000 fe:00 77    /opt/mote", None);
        check("", None);
    }

    #[test]
    fn what_is_let_go_of_runs_on() {
        let_go_of_code();
        assert_eq!(format!("{:?}", "still".repeat(2)), "\"stillstill\"");
    }
}
