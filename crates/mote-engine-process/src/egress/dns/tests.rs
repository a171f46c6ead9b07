//! Bytes as resolvers send them, and as nobody should.

use super::*;

fn message(id: u16, flags: u16, name: &[&[u8]], kind: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [id, flags, 1, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    for label in name {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&1u16.to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn a_question_is_read_and_answered_in_its_own_spelling() {
    let asked = message(0x1234, RECURSION_DESIRED, &[b"Api", b"Example", b"COM"], kind::A, b"");
    let question = read(&asked).unwrap();
    assert_eq!((question.name.as_str(), question.kind), ("api.example.com", kind::A));
    let answer = question.answer(&Answer::Address(Ipv4Addr::new(198, 18, 0, 1).into()));
    assert_eq!(&answer[..2], &[0x12, 0x34]);
    assert_eq!(&answer[2..4], &[0x85, 0x80], "an answer, of authority, with recursion");
    assert_eq!(&answer[HEADER_BYTES..asked.len()], &asked[HEADER_BYTES..]);
    assert_eq!(&answer[asked.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, TTL_SECONDS as u8, 0, 4, 198, 18, 0, 1]);
    let none = question.answer(&Answer::NoSuchName);
    assert_eq!((none[3] & 15, none.len()), (3, asked.len()));
}

#[test]
fn reverse_names_are_addresses() {
    let check = |name: &[&[u8]], expect: Option<[u8; 4]>| {
        let question = read(&message(1, 0, name, kind::PTR, b"")).unwrap();
        assert_eq!(question.reverse(), expect.map(Ipv4Addr::from), "{}", question.name);
    };
    check(&[b"4", b"3", b"2", b"1", b"in-addr", b"arpa"], Some([1, 2, 3, 4]));
    check(&[b"3", b"2", b"1", b"in-addr", b"arpa"], None);
    check(&[b"5", b"4", b"3", b"2", b"1", b"in-addr", b"arpa"], None);
    check(&[b"256", b"3", b"2", b"1", b"in-addr", b"arpa"], None);
    let question = read(&message(1, 0, &[b"4", b"3", b"2", b"1", b"in-addr", b"arpa"], kind::PTR, b"")).unwrap();
    let answer = question.answer(&Answer::Name("a.bc".into()));
    assert!(answer.ends_with(b"\0\x06\x01a\x02bc\0"), "{answer:?}");
    let long = "a".repeat(64);
    assert_eq!(question.answer(&Answer::Name(long)), question.answer(&Answer::Nothing));
}

#[test]
fn what_is_no_question_is_refused_or_ignored() {
    let good = message(7, 0, &[b"a"], kind::A, b"");
    for end in 0..good.len() {
        assert!(read(&good[..end]).is_err());
    }
    let code = |message: &[u8]| read(message).unwrap_err().get(3).map(|byte| byte & 15);
    assert_eq!(code(&good[..11]), None, "no header");
    assert_eq!(code(&message(7, RESPONSE, &[b"a"], 1, b"")), None, "an answer");
    assert_eq!(code(&message(7, 1 << 11, &[b"a"], 1, b"")), Some(4), "an inverse query");
    assert_eq!(code(&message(7, 0, &[&[b'a'; 64]], 1, b"")), Some(1), "a long label");
    assert_eq!(code(&message(7, 0, &[&[b'a'; 60][..]; 5], 1, b"")), Some(1), "a long name");
    assert_eq!(code(&message(7, 0, &[b"a"], 1, &[0; MESSAGE_BYTES_MAX])), Some(1), "a long message");
    let pointer = [&good[..HEADER_BYTES], b"\xc0\x0c\0\x01\0\x01"].concat();
    assert_eq!(code(&pointer), Some(1), "a pointer");
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(code(&two), Some(1), "two questions");
    let mut class = good;
    *class.last_mut().unwrap() = 3;
    assert_eq!(code(&class), Some(4), "another class");
}

#[test]
fn a_dot_within_a_label_is_none_between_labels() {
    let question = read(&message(1, 0, &[b"evil.example", b"com"], kind::A, b"")).unwrap();
    assert_eq!(question.name, "evil\u{fffd}example.com");
}

#[test]
fn only_the_answer_to_what_was_forwarded_is_relayed() {
    let question = read(&message(7, 0, &[b"A"], kind::TXT, b"options")).unwrap();
    let out = question.forwarded(99);
    assert_eq!(out, message(99, RECURSION_DESIRED, &[b"A"], kind::TXT, b""));
    let reply = |id, name: &[u8]| message(id, RESPONSE, &[name], kind::TXT, b"record");
    assert_eq!(question.relayed(99, reply(99, b"a")).unwrap(), message(7, RESPONSE, &[b"a"], kind::TXT, b"record"));
    assert_eq!(question.relayed(99, reply(98, b"a")), None);
    assert_eq!(question.relayed(99, reply(99, b"b")), None);
    assert_eq!(question.relayed(99, out), None, "a question");
    assert_eq!(question.relayed(99, vec![0; 3]), None);
}
