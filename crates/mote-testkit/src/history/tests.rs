//! Histories made by hand: the right one passes, and each wrong one is refused for what is wrong.

use mote_core::clock::Id;
use mote_core::invoke::deliver::outcome::State;
use mote_core::store::Lane;

use super::*;

const A: Id = Id(1);
const B: Id = Id(2);

fn sent(id: Id, once: Option<&str>, lane: Option<&str>) -> Sent {
    let lane = lane.map(|key| Lane::new(key, 1));
    Sent { id, queue: "q".into(), once: once.map(str::to_owned), lane }
}

fn accepted(sent: Sent, id: Id) -> [Said; 2] {
    [Said::Enqueueing(vec![sent.clone()]), Said::Enqueued { sent: vec![sent], ids: vec![id] }]
}

fn leased(id: Id, epoch: u64, attempt: u32) -> [Said; 1] {
    [Said::Leased { id, epoch, attempt }]
}

fn failed(id: Id, attempt: u32, error: &str) -> [Said; 1] {
    [Said::Failed { id, attempt, error: error.into() }]
}

fn ending(id: Id, epoch: u64, end: Ending) -> Settling {
    Settling { id, epoch, end, follow: Vec::new() }
}

/// A settlement that was answered.
fn settled(settling: Settling) -> [Said; 2] {
    [Said::Settling(settling.clone()), Said::Settled(settling)]
}

fn done(id: Id, epoch: u64) -> [Said; 2] {
    settled(ending(id, epoch, Ending::Done))
}

fn again(id: Id, epoch: u64, error: &str) -> [Said; 2] {
    settled(ending(id, epoch, Ending::Again { counted: true, error: error.into() }))
}

fn dead(id: Id, epoch: u64, reason: &str) -> [Said; 2] {
    settled(ending(id, epoch, Ending::Dead { reason: reason.into() }))
}

fn gone() -> Fate {
    Fate::Gone(State::Succeeded)
}

fn judge(history: &[&[Said]], fates: impl IntoIterator<Item = (Id, Fate)>) -> Result<Tally, Vec<String>> {
    let rules =
        |queue: &str| Rules { attempts_max: Some(2), hopeless: &["hopeless"], unanswered_max: 18, leaves_a_result: queue != "mail" };
    check(&history.concat(), &fates.into_iter().collect(), rules)
}

#[track_caller]
fn refused(history: &[&[Said]], fates: impl IntoIterator<Item = (Id, Fate)>, why: &str) {
    match judge(history, fates) {
        Ok(tally) => panic!("it passed, as {tally:?}"),
        Err(wrongs) => assert!(wrongs.iter().any(|wrong| wrong.contains(why)), "{wrongs:#?}"),
    }
}

/// Accepted, failed, killed in the middle, done.
fn life() -> Vec<Said> {
    let history: [&[Said]; 7] = [
        &[Said::Opened],
        &accepted(sent(A, None, None), A),
        &leased(A, 1, 1),
        &again(A, 1, "e"),
        &leased(A, 2, 2),
        &[Said::Opened],
        &leased(A, 9, 3),
    ];
    history.concat()
}

#[test]
fn a_right_history_passes() {
    let tally = judge(&[&life(), &done(A, 9)], [(A, gone())]).unwrap();
    assert_eq!(tally, Tally { accepted: 1, succeeded: 1, repeated: 1, ..Tally::default() });
    let tally = judge(&[&life()], [(A, Fate::Queued)]).unwrap();
    assert_eq!((tally.queued, tally.succeeded), (1, 0));
    let letter = Fate::dead(3, "f", &[(1, "e")]);
    assert_eq!(judge(&[&life(), &failed(A, 3, "f"), &dead(A, 9, "f")], [(A, letter)]).unwrap().dead, 1);
}

#[test]
fn what_was_accepted_and_is_nowhere_is_lost() {
    refused(&[&life(), &done(A, 9)], [], "is lost");
    let mut end = ending(A, 9, Ending::Done);
    end.follow = vec![B];
    refused(&[&life(), &settled(end.clone())], [(A, gone())], "is lost");
    refused(&[&life(), &settled(end)], [(A, gone())], "is not there");
}

#[test]
fn a_stale_lease_settles_nothing() {
    refused(&[&life(), &done(A, 2)], [(A, gone())], "stale lease 2");
    refused(&[&life(), &done(A, 9), &done(A, 9)], [(A, gone())], "after epoch 9 had ended it");
    refused(&[&life(), &done(A, 9), &leased(A, 10, 4)], [(A, gone())], "had ended it");
    refused(&[&life(), &leased(A, 9, 4)], [(A, Fate::Queued)], "given out twice");
    refused(&[&life(), &leased(A, 8, 4)], [(A, Fate::Queued)], "came after epoch 9");
}

#[test]
fn attempts_are_counted() {
    refused(&[&life(), &leased(A, 10, 3)], [(A, Fate::Queued)], "attempt 3 came after attempt 3");
    refused(&[&life(), &leased(A, 10, 99)], [(A, Fate::Queued)], "attempt 99 came after attempt 3");
}

#[test]
fn a_dead_letter_is_honest() {
    let history = [life(), failed(A, 3, "f").to_vec(), dead(A, 9, "f").to_vec()].concat();
    refused(&[&history], [(A, Fate::dead(2, "f", &[(1, "e")]))], "counts 2 attempts");
    refused(&[&history], [(A, Fate::dead(3, "g", &[(1, "e")]))], "given up for \"f\"");
    refused(&[&history], [(A, Fate::dead(3, "f", &[]))], "leaves out the failure \"e\"");
    refused(&[&history], [(A, Fate::dead(3, "f", &[(1, "e"), (2, "x")]))], "that nobody saw");
    refused(&[&life()], [(A, Fate::dead(3, "f", &[(1, "e")]))], "nobody buried it");
    let early = [accepted(sent(A, None, None), A).to_vec(), leased(A, 1, 1).to_vec()].concat();
    refused(&[&early, &dead(A, 1, "f")], [(A, Fate::dead(1, "f", &[]))], "after 1 attempts of Some(2)");
    judge(&[&early, &dead(A, 1, "hopeless: f")], [(A, Fate::dead(1, "hopeless: f", &[]))]).unwrap();
}

#[test]
fn a_key_is_one_item() {
    let first = accepted(sent(A, Some("k"), None), A);
    judge(&[&first, &accepted(sent(B, Some("k"), None), A)], [(A, Fate::Queued)]).unwrap();
    refused(&[&first, &accepted(sent(B, Some("k"), None), B)], [(A, Fate::Queued), (B, Fate::Queued)], "accepted as");
    refused(&[&first, &accepted(sent(B, Some("k"), None), A)], [(A, Fate::Queued), (B, Fate::Queued)], "is there as well");
    refused(&[&first, &accepted(sent(B, None, None), A)], [(A, Fate::Queued)], "without a key");
}

#[test]
fn a_lane_keeps_its_order() {
    let both = [accepted(sent(A, None, Some("l")), A), accepted(sent(B, None, Some("l")), B)].concat();
    let fates = || [(A, gone()), (B, Fate::Queued)];
    judge(&[&both, &leased(A, 1, 1), &done(A, 1), &leased(B, 2, 1)], fates()).unwrap();
    refused(&[&both, &leased(A, 1, 1), &leased(B, 2, 1), &done(A, 1)], fates(), "stands before it");
    refused(&[&both, &leased(A, 1, 1), &again(A, 1, "e"), &leased(B, 2, 1)], fates(), "stands before it");
}

#[test]
fn what_follows_an_end_comes_with_it() {
    let mut end = ending(A, 9, Ending::Done);
    end.follow = vec![B];
    let (begun, opened) = ([Said::Settling(end)], [Said::Opened]);
    judge(&[&life(), &begun, &opened], [(A, gone()), (B, Fate::Queued)]).unwrap();
    judge(&[&life(), &begun, &opened, &leased(A, 10, 4)], [(A, Fate::Queued)]).unwrap();
    refused(&[&life(), &begun, &opened, &leased(A, 10, 4)], [(A, Fate::Queued), (B, Fate::Queued)], "has not ended it");
}

#[test]
fn a_cancelled_item_is_cancelled() {
    let cancel = [Said::Cancelling(A), Said::Cancelled(A)];
    let queued = accepted(sent(A, None, None), A);
    assert_eq!(judge(&[&queued, &cancel], [(A, Fate::Gone(State::Cancelled))]).unwrap().cancelled, 1);
    refused(&[&queued, &cancel], [(A, gone())], "was cancelled, and is");
    refused(&[&queued, &leased(A, 1, 1), &done(A, 1), &cancel], [(A, gone())], "cancelled after its end");
}

#[test]
fn what_leaves_nothing_is_taken_by_somebody_or_lost() {
    let sent = Sent { queue: "mail".into(), ..sent(A, None, None) };
    let (sent, moved) = (accepted(sent.clone(), A), Said::Enqueueing(vec![sent]));
    let (first, by_hand) = (leased(A, 1, 1), done(A, 1));
    assert_eq!(judge(&[&sent, &first, &by_hand], []), Ok(Tally { accepted: 1, taken: 1, ..Tally::default() }));
    assert!(judge(&[&sent, &first, &by_hand[..1]], []).is_ok(), "nobody was told, and it may have been");
    let late = [Said::Settling(ending(A, 1, Ending::Done)), Said::Unsettled { id: A, epoch: 1 }];
    assert!(judge(&[&sent, &first, &by_hand, &late], []).is_ok(), "a receipt is used twice");
    assert!(judge(&[&sent, &first, &by_hand[..1], &late], []).is_ok(), "though nobody was told of the first time");
    refused(&[&sent, &first], [], "is lost");
    refused(&[&sent, &first, &again(A, 1, "let go")], [], "is lost");
    refused(&[&sent, &first, &by_hand[..1], &[Said::Unsettled { id: A, epoch: 1 }]], [], "is lost");
    // From queue to queue it is the same, and begins anew.
    let on = settled(ending(A, 1, Ending::Moved));
    let second = leased(A, 2, 1);
    assert!(judge(&[&sent, &first, &[moved], &on, &second, &done(A, 2)], []).is_ok());
    refused(&[&sent, &first, &on, &second], [], "is lost");
}
