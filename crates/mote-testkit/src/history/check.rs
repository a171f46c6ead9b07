//! The judge of a history. It knows the promises and nothing of how they are kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use mote_core::clock::Id;
use mote_core::invoke::deliver::outcome::State;

use super::item::Life;
use super::{Fate, Fates, Said, Sent};

/// What may become of the items of a queue.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Given up after so many attempts; `None` if its items can only succeed.
    pub attempts_max: Option<u32>,
    /// Beginnings of errors after which no attempt follows.
    pub hopeless: &'static [&'static str],
    /// Given up after more than so many attempts, whatever it is: each of their servers died.
    pub unanswered_max: u32,
    /// Whether something is kept of what has ended.
    pub leaves_a_result: bool,
}

/// What a history that is right comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub accepted: usize,
    pub succeeded: usize,
    /// Ended, without leaving anything.
    pub taken: usize,
    pub dead: usize,
    pub cancelled: usize,
    pub queued: usize,
    /// Items that were leased again after a lease whose end nobody answered for.
    pub repeated: usize,
    /// Items whose lease ran out while its holder lived, and went to somebody else.
    pub overtaken: usize,
}

/// Every promise that was broken, or what it all came to. `rules` are asked by queue.
pub fn check(history: &[Said], fates: &Fates, rules: impl Fn(&str) -> Rules) -> Result<Tally, Vec<String>> {
    let lives = lives(history);
    let mut wrongs = keys_hold(history, fates);
    wrongs.extend(epochs_are_new(history));
    wrongs.extend(lanes_keep_their_order(history, fates));
    let mut tally = Tally::default();
    for (id, life) in &lives {
        let fate = fates.get(id);
        let rules = life.sent.as_ref().map(|sent| rules(&sent.queue));
        let is_taken = rules.as_ref().is_some_and(|rules| !rules.leaves_a_result) && life.may_have_ended();
        if life.accepted && fate.is_none() && !is_taken {
            wrongs.push(format!("{id} was accepted, and is lost"));
        }
        wrongs.extend(life.wrongs().into_iter().map(|wrong| format!("{id}: {wrong}")));
        wrongs.extend(life.follows_its_end(fates).into_iter().map(|wrong| format!("{id}: {wrong}")));
        if let Some(Fate::Dead(letter)) = fate {
            wrongs.extend(life.is_honest(letter, rules.as_ref()).into_iter().map(|wrong| format!("{id}: {wrong}")));
        }
        tally.accepted += usize::from(life.accepted);
        tally.repeated += usize::from(life.repeated());
        tally.overtaken += usize::from(life.overtaken());
        match fate {
            Some(Fate::Queued) => tally.queued += 1,
            Some(Fate::Dead(_)) => tally.dead += 1,
            Some(Fate::Gone(State::Cancelled)) => tally.cancelled += 1,
            Some(Fate::Gone(_)) => tally.succeeded += 1,
            None => tally.taken += usize::from(is_taken),
        }
        if life.cancelled && !matches!(fate, Some(Fate::Gone(State::Cancelled))) {
            wrongs.push(format!("{id} was cancelled, and is {fate:?}"));
        }
    }
    if wrongs.is_empty() { Ok(tally) } else { Err(wrongs) }
}

/// The history sorted by item, each with its own events in order.
fn lives(history: &[Said]) -> BTreeMap<Id, Life> {
    let mut lives: BTreeMap<Id, Life> = BTreeMap::new();
    let mut openings = 0;
    for said in history {
        match said {
            Said::Opened => openings += 1,
            Said::Enqueueing(all) => {
                for sent in all {
                    lives.entry(sent.id).or_default().sent = Some(sent.clone());
                }
            }
            Said::Enqueued { ids, .. } => ids.iter().for_each(|id| lives.entry(*id).or_default().accepted = true),
            Said::Leased { id, .. } | Said::Failed { id, .. } | Said::Unsettled { id, .. } | Said::Cancelling(id) | Said::Redriving(id) => {
                lives.entry(*id).or_default().note(openings, said);
            }
            Said::Cancelled(id) => {
                let life = lives.entry(*id).or_default();
                life.cancelled = true;
                life.note(openings, said);
            }
            Said::Settling(settling) => lives.entry(settling.id).or_default().note(openings, said),
            Said::Settled(settling) => {
                lives.entry(settling.id).or_default().note(openings, said);
                // What follows was accepted by the same answer.
                settling.follow.iter().for_each(|id| lives.entry(*id).or_default().accepted = true);
            }
        }
    }
    lives
}

/// One key of one queue is one id, however often and in whatever process it was sent.
fn keys_hold(history: &[Said], fates: &Fates) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut taken: HashMap<(&str, &str), Id> = HashMap::new();
    for said in history {
        let Said::Enqueued { sent, ids } = said else { continue };
        for (Sent { id, queue, once, .. }, answered) in sent.iter().zip(ids) {
            let Some(once) = once else {
                if id != answered {
                    wrongs.push(format!("{id} was sent without a key and accepted as {answered}"));
                }
                continue;
            };
            let first = *taken.entry((queue, once)).or_insert(*answered);
            if first != *answered {
                wrongs.push(format!("the key {once} of {queue} was accepted as {first} and as {answered}"));
            }
            if id != answered && fates.contains_key(id) {
                wrongs.push(format!("{id} was told to be {answered} by its key {once}, and is there as well"));
            }
        }
    }
    wrongs
}

fn epochs_are_new(history: &[Said]) -> Vec<String> {
    let mut seen = HashSet::new();
    let epochs = history.iter().filter_map(|said| if let Said::Leased { id, epoch, .. } = said { Some((id, epoch)) } else { None });
    epochs.filter(|(_, epoch)| !seen.insert(**epoch)).map(|(id, epoch)| format!("{id}: the epoch {epoch} was given out twice")).collect()
}

/// In a lane of width one nothing is leased before its predecessor has come to its end. The order
/// is that of the sending, which is one sender's for each lane.
fn lanes_keep_their_order(history: &[Said], fates: &Fates) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut lanes: HashMap<(&str, &str), Vec<Id>> = HashMap::new();
    let mut lane_of = HashMap::new();
    let mut ended: HashSet<Id> = HashSet::new();
    for said in history {
        match said {
            Said::Enqueueing(all) => {
                for sent in all {
                    // One that was never taken in holds nobody up.
                    if let Some(lane) = sent.lane.as_ref().filter(|lane| lane.width == 1 && fates.contains_key(&sent.id)) {
                        let key = (sent.queue.as_str(), lane.key.as_str());
                        lanes.entry(key).or_default().push(sent.id);
                        lane_of.insert(sent.id, key);
                    }
                }
            }
            Said::Settling(settling) if settling.is_final() => drop(ended.insert(settling.id)),
            Said::Cancelling(id) => drop(ended.insert(*id)),
            // It comes back at the end of its lane, wherever that is by then.
            Said::Redriving(id) => drop(lane_of.remove(id)),
            Said::Leased { id, .. } => {
                let lane = lane_of.get(id).and_then(|key| lanes.get(key)).map(Vec::as_slice).unwrap_or_default();
                let ahead = lane.iter().take_while(|other| *other != id).find(|other| !ended.contains(other));
                wrongs.extend(ahead.map(|ahead| format!("{id} was leased before {ahead}, which stands before it in its lane, had ended")));
            }
            _ => {}
        }
    }
    wrongs
}
