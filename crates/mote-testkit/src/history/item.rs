//! One item's part of a history, and what must be true of it alone.

use mote_core::store::{DeadLetter, Failed};

use super::{Ending, Fate, Fates, Rules, Said, Sent, Settling};

#[derive(Default)]
pub(super) struct Life {
    pub(super) sent: Option<Sent>,
    pub(super) accepted: bool,
    pub(super) cancelled: bool,
    /// With how many openings of the store there had been.
    events: Vec<(u32, Said)>,
}

/// What is known of an item at one point of its life.
#[derive(Default)]
struct Known {
    attempt: u32,
    /// Openings at the last lease, and the highest epoch that was handed out.
    opening: u32,
    epoch: u64,
    /// The last attempt may have been given back.
    given_back: bool,
    /// Final settlements that were answered, since it was last redriven.
    ended: Option<u64>,
    /// Settlements under way, each with the highest epoch that had been handed out when it began.
    under_way: Vec<(u64, u64)>,
}

impl Life {
    pub(super) fn note(&mut self, opening: u32, said: &Said) {
        self.events.push((opening, said.clone()));
    }

    fn settlings(&self) -> impl Iterator<Item = (usize, &Settling)> {
        self.events
            .iter()
            .enumerate()
            .filter_map(|(at, (_, said))| if let Said::Settling(settling) = said { Some((at, settling)) } else { None })
    }

    /// Whether some settlement may have ended it. A lease may be settled again later, which is refused
    /// and says nothing of the first time.
    pub(super) fn may_have_ended(&self) -> bool {
        let answer = |at: usize, settling: &Settling| {
            self.events[at + 1..].iter().map(|(_, said)| said).find(|said| match said {
                Said::Settling(other) | Said::Settled(other) => other.epoch == settling.epoch,
                Said::Unsettled { epoch, .. } => *epoch == settling.epoch,
                _ => false,
            })
        };
        let mut ends = self.settlings().filter(|(_, settling)| settling.is_final());
        ends.any(|(at, settling)| !matches!(answer(at, settling), Some(Said::Unsettled { .. })))
    }

    fn was_answered(&self, settling: &Settling) -> bool {
        self.events.iter().any(|(_, said)| matches!(said, Said::Settled(other) if other.epoch == settling.epoch))
    }

    fn was_refused(&self, settling: &Settling) -> bool {
        self.events.iter().any(|(_, said)| matches!(said, Said::Unsettled { epoch, .. } if *epoch == settling.epoch))
    }

    /// Whether it was leased more than once without a failure that was answered for in between.
    pub(super) fn repeated(&self) -> bool {
        let mut open = false;
        for (_, said) in &self.events {
            match said {
                Said::Leased { .. } if open => return true,
                Said::Leased { .. } => open = true,
                Said::Settled(_) => open = false,
                _ => {}
            }
        }
        false
    }

    /// Whether it was leased again within one life, while its holder had not begun to settle.
    pub(super) fn overtaken(&self) -> bool {
        let mut held = None;
        self.events.iter().any(|(opening, said)| match said {
            Said::Leased { .. } => held.replace(*opening) == Some(*opening),
            Said::Settling(_) => {
                held = None;
                false
            }
            _ => false,
        })
    }

    /// Leases, attempts and settlements, in the order in which they were told.
    pub(super) fn wrongs(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        let mut known = Known::default();
        for (opening, said) in &self.events {
            match said {
                Said::Leased { epoch, attempt, .. } => known.lease(*opening, *epoch, *attempt, &mut wrongs),
                Said::Settling(settling) => {
                    known.given_back |= matches!(settling.end, Ending::Again { counted: false, .. } | Ending::Advance | Ending::Moved);
                    known.under_way.push((settling.epoch, known.epoch));
                }
                Said::Settled(settling) => known.settle(settling, &mut wrongs),
                Said::Redriving(_) => known = Known { epoch: known.epoch, given_back: true, ..Known::default() },
                Said::Cancelled(_) if known.ended.is_some() => wrongs.push("it was cancelled after its end".into()),
                _ => {}
            }
        }
        wrongs
    }

    /// What follows an end is there if the end came true, and only then.
    pub(super) fn follows_its_end(&self, fates: &Fates) -> Vec<String> {
        let mut wrongs = Vec::new();
        for (at, settling) in self.settlings().filter(|(_, settling)| !settling.follow.is_empty()) {
            let there = settling.follow.iter().filter(|id| fates.contains_key(id)).count();
            if there != 0 && there != settling.follow.len() {
                wrongs.push(format!("of what follows epoch {} a part is there", settling.epoch));
            }
            let mut later = self.events[at..].iter();
            let again = later.any(|(_, said)| matches!(said, Said::Leased { .. }));
            let redriven = self.events[at..].iter().any(|(_, said)| matches!(said, Said::Redriving(_)));
            let answered = self.was_answered(settling);
            if answered && there == 0 {
                wrongs.push(format!("what follows epoch {} is not there", settling.epoch));
            }
            // Leased again: the end has not come true, so nothing may have come of it.
            if !answered && again && !redriven && settling.is_final() && there > 0 {
                wrongs.push(format!("epoch {} has not ended it, and what follows its end is there", settling.epoch));
            }
        }
        wrongs
    }

    /// The letter says what happened, all of it, and the rule had come to its end.
    pub(super) fn is_honest(&self, letter: &DeadLetter, rules: Option<&Rules>) -> Vec<String> {
        let mut wrongs = Vec::new();
        let burials = self.settlings().filter_map(|(_, settling)| match &settling.end {
            Ending::Dead { reason } => Some((settling, reason)),
            Ending::Done | Ending::Moved | Ending::Again { .. } | Ending::Advance => None,
        });
        // The burial that came true: the last that was not refused.
        let Some((burial, reason)) = burials.filter(|(settling, _)| !self.was_refused(settling)).last() else {
            return vec!["it is a dead letter, and nobody buried it".into()];
        };
        let buried_at = self.events.iter().find_map(|(_, said)| match said {
            Said::Leased { epoch, attempt, .. } if *epoch == burial.epoch => Some(*attempt),
            _ => None,
        });
        if buried_at.is_some_and(|attempt| attempt != letter.attempts) {
            wrongs.push(format!("its letter counts {} attempts, and it was given up after {buried_at:?}", letter.attempts));
        }
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        if letter.reason.is_empty() || cut(&letter.reason) != cut(reason) {
            wrongs.push(format!("its letter's reason is {:?}, and it was given up for {reason:?}", letter.reason));
        }
        wrongs.extend(letter.history.iter().filter_map(|failed| self.happened(failed)));
        wrongs.extend(self.untold(letter));
        if let Some(Rules { attempts_max, hopeless, unanswered_max, .. }) = rules
            && letter.attempts <= *unanswered_max
            && !hopeless.iter().any(|slug| letter.reason.starts_with(slug))
            && attempts_max.is_none_or(|max| letter.attempts < max)
        {
            wrongs.push(format!("it was given up after {} attempts of {attempts_max:?} for {:?}", letter.attempts, letter.reason));
        }
        wrongs
    }

    /// A failure of the letter that nobody saw.
    fn happened(&self, failed: &Failed) -> Option<String> {
        let seen = self.events.iter().any(|(_, said)| match said {
            Said::Failed { attempt, error, .. } => *attempt == failed.attempt && failed.error.contains(error),
            Said::Settling(Settling { end: Ending::Again { error, .. }, .. }) => failed.error == *error && !error.is_empty(),
            _ => false,
        });
        (!seen).then(|| format!("its letter tells of a failure at attempt {} that nobody saw: {:?}", failed.attempt, failed.error))
    }

    /// A failure that was answered for, and that the letter leaves out.
    fn untold(&self, letter: &DeadLetter) -> Vec<String> {
        let told = self.events.iter().filter_map(|(_, said)| match said {
            Said::Settled(Settling { end: Ending::Again { error, .. }, .. }) => Some(error),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        // Of many the newest are kept.
        let kept = &told[told.len().saturating_sub(Failed::KEPT_MAX / 2)..];
        let missing = kept.iter().filter(|error| !letter.history.iter().any(|failed| failed.error == ***error));
        missing.map(|error| format!("its letter leaves out the failure {error:?}")).collect()
    }
}

impl Known {
    fn lease(&mut self, opening: u32, epoch: u64, attempt: u32, wrongs: &mut Vec<String>) {
        if let Some(ended) = self.ended {
            wrongs.push(format!("it was leased under epoch {epoch} after epoch {ended} had ended it"));
        }
        if epoch <= self.epoch {
            wrongs.push(format!("epoch {epoch} came after epoch {}", self.epoch));
        }
        // A lease that was cut off before it was told may have counted as well, one in each life.
        let (least, most) = match self.given_back {
            true => (1, u32::MAX),
            false => (self.attempt + 1, self.attempt + 1 + (opening - self.opening) + UNTOLD_MAX),
        };
        if attempt < least || attempt > most {
            wrongs.push(format!("attempt {attempt} came after attempt {}", self.attempt));
        }
        (self.attempt, self.opening, self.epoch, self.given_back) = (attempt, opening, epoch, false);
    }

    fn settle(&mut self, settling: &Settling, wrongs: &mut Vec<String>) {
        let began = self.under_way.iter().position(|(epoch, _)| *epoch == settling.epoch).map(|at| self.under_way.remove(at));
        if began.is_some_and(|(epoch, highest)| epoch < highest) {
            wrongs.push(format!("the stale lease {} settled it", settling.epoch));
        }
        if let Some(ended) = self.ended {
            wrongs.push(format!("epoch {} settled it after epoch {ended} had ended it", settling.epoch));
        }
        // If it was redriven before its end was told, that end is none any more.
        if settling.is_final() && began.is_some() {
            self.ended = Some(settling.epoch);
        }
    }
}

/// Leases of one life that nobody told of: their answer was an error that a test injected.
const UNTOLD_MAX: u32 = 4;

impl Fate {
    #[cfg(test)]
    pub(super) fn dead(attempts: u32, reason: &str, failed: &[(u32, &str)]) -> Fate {
        use mote_core::clock::{Id, Timestamp};
        let item = mote_core::store::Item::new(Id(1), "q", Timestamp(0), "");
        let history = failed.iter().map(|(attempt, error)| Failed { at: Timestamp(0), attempt: *attempt, error: (*error).into() });
        Fate::Dead(Box::new(DeadLetter { item, attempts, buried: Timestamp(0), reason: reason.into(), history: history.collect() }))
    }
}
