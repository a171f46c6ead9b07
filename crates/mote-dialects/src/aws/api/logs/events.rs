//! Lines as events: those of a group that match (FilterLogEvents), and a stream from page to page (GetLogEvents).

use std::collections::HashMap;
use std::fmt::Write;

use mote_core::action::{Action, Done};
use mote_core::clock::Timestamp;
use mote_core::store::{LogLine, LogQuery};
use serde_json::{Value, json};

use super::super::target::Asked;
use super::super::wire::Refusal;
use super::group::{self, Group};
use super::pattern::Pattern;
use super::place::Place;
use super::{LINES_MAX, Outcome, missing, unexpected};

/// Of the texts of one answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// With so many, a look at the log may not have come to its end.
const LOOK_BYTES: usize = 8 << 20;
const STREAMS_MAX: usize = 100;

pub(super) fn filter(asked: &Asked) -> Outcome {
    let limit = limit(asked)?;
    let pattern = Pattern::read(asked.text("filterPattern").unwrap_or_default()).map_err(|why| asked.invalid(why))?;
    let wanted = Wanted::read(asked)?;
    let (start, until) = (time(asked, "startTime")?, time(asked, "endTime")?);
    let place = match asked.text("nextToken") {
        Some(token) => Place::read(token).ok_or_else(|| no_token(asked))?,
        None => Place::start(start.unwrap_or_default()),
    };
    group::find(asked, move |asked, group| {
        let plain = pattern.takes_all() && wanted.all() && group.only().is_some();
        let tail = if plain { place.lines.saturating_add(limit).saturating_add(1).min(LINES_MAX) } else { LINES_MAX };
        let query = LogQuery { function: group.only(), since: Some(place.time), until, tail, from_oldest: true, ..LogQuery::default() };
        let what = Action::Logs { namespace: asked.namespace(), query };
        Ok(asked.then(what, move |asked, done| {
            let Done::Lines(lines) = done else { return Err(unexpected()) };
            let page = Filtered { group: &group, pattern: &pattern, wanted: &wanted }.page(&lines, place, limit);
            let more = page.read < lines.len() || lines.len() >= tail || bytes(&lines) >= LOOK_BYTES;
            let mut answer = json!({ "events": page.events, "searchedLogStreams": [] });
            if more && let Some(next) = Place::behind(lines.get(..page.read).unwrap_or_default()) {
                // A moment of more lines than one look has would hold its reader for ever.
                let stuck = next == place;
                let next = if stuck { Place::start(Timestamp(next.time.0.saturating_add(1))) } else { next };
                answer["nextToken"] = next.to_string().into();
            }
            Ok(asked.done(&answer))
        }))
    })
}

/// The streams that are asked for.
struct Wanted {
    names: Vec<String>,
    prefix: String,
}

impl Wanted {
    fn read(asked: &Asked) -> Result<Wanted, Refusal> {
        let names: Vec<String> = asked.input["logStreamNames"].as_array().into_iter().flatten().filter_map(text).collect();
        let prefix = asked.text("logStreamNamePrefix").unwrap_or_default().to_owned();
        if names.len() > STREAMS_MAX || !names.is_empty() && !prefix.is_empty() {
            return Err(asked.invalid(format!("logStreamNames, {STREAMS_MAX} at most, or logStreamNamePrefix, and not both")));
        }
        Ok(Wanted { names, prefix })
    }

    fn all(&self) -> bool {
        self.names.is_empty() && self.prefix.is_empty()
    }

    fn takes(&self, stream: &str) -> bool {
        stream.starts_with(&self.prefix) && (self.names.is_empty() || self.names.iter().any(|name| name == stream))
    }
}

struct Filtered<'a> {
    group: &'a Group,
    pattern: &'a Pattern,
    wanted: &'a Wanted,
}

struct Page {
    events: Vec<Value>,
    /// Lines that were looked at, with those before the place.
    read: usize,
}

impl Filtered<'_> {
    fn page(&self, lines: &[LogLine], place: Place, limit: usize) -> Page {
        let passed = place.passed(lines);
        let (mut page, mut bytes, mut ids) = (Page { events: Vec::new(), read: lines.len() }, 0, Ids::default());
        for (at, line) in lines.iter().enumerate() {
            let id = ids.of(line);
            if at < passed {
                continue;
            }
            let Some(stream) = self.group.stream(line).filter(|stream| self.wanted.takes(stream) && self.pattern.takes(&line.text)) else {
                continue;
            };
            bytes += line.text.len();
            if page.events.len() >= limit || bytes > ANSWER_BYTES_MAX && !page.events.is_empty() {
                page.read = at;
                break;
            }
            let mut event = event(line);
            event["logStreamName"] = stream.into();
            event["eventId"] = id.into();
            page.events.push(event);
        }
        page
    }
}

/// What readers that look twice know an event by: made of its moment, its text, and how many were equal before it.
#[derive(Default)]
struct Ids(HashMap<(u64, u64), u32>);

impl Ids {
    fn of(&mut self, line: &LogLine) -> String {
        let call = line.invocation.map(|id| id.0.to_be_bytes()).unwrap_or_default();
        let said = [line.function.as_bytes(), &line.version.to_be_bytes(), &call, line.text.as_bytes()];
        // FNV-1a: whoever makes two lines alike confuses readers of his own log.
        let hash = said
            .iter()
            .flat_map(|part| part.iter())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        let again = self.0.entry((line.time.0, hash)).and_modify(|times| *times += 1).or_default();
        let mut id = format!("{:014}{hash:020}", line.time.0);
        let _ = write!(id, "{again:010}");
        id
    }
}

/// Tokens: `f/` and a place to read on from, `b/` and one to read back from.
pub(super) fn get(asked: &Asked) -> Outcome {
    let limit = limit(asked)?;
    let stream = asked.needed("logStreamName")?.to_owned();
    let (start, end) = (time(asked, "startTime")?, time(asked, "endTime")?);
    if end == Some(Timestamp(0)) {
        return Err(asked.invalid("endTime must be later than 0"));
    }
    let way = match asked.text("nextToken") {
        Some(token) => Way::read(token).ok_or_else(|| no_token(asked))?,
        None if asked.flag("startFromHead") => Way::Forward(Place::start(start.unwrap_or_default())),
        None => Way::Back(None),
    };
    group::find(asked, move |asked, group| {
        let (function, version) = group.speaker(&stream).ok_or_else(|| missing("stream"))?;
        // The end itself does not count.
        let until = end.map(|end| Timestamp(end.0.saturating_sub(1)));
        let look = LogQuery { function: Some(function), version: Some(version), tail: LINES_MAX, ..LogQuery::default() };
        let query = match way {
            Way::Forward(place) => LogQuery { since: Some(place.time), until, from_oldest: true, ..look },
            Way::Back(Some(place)) => LogQuery { since: start, until: Some(place.time), ..look },
            // With a bound, lines come in the order of their times.
            Way::Back(None) => LogQuery { since: start, until: until.or(Some(Timestamp(u64::MAX))), ..look },
        };
        let what = Action::Logs { namespace: asked.namespace(), query };
        Ok(asked.then(what, move |asked, done| {
            let Done::Lines(lines) = done else { return Err(unexpected()) };
            Ok(asked.done(&way.page(&lines, limit, start.unwrap_or_default())))
        }))
    })
}

#[derive(Clone, Copy)]
enum Way {
    Forward(Place),
    /// `None`: from the end.
    Back(Option<Place>),
}

impl Way {
    fn read(token: &str) -> Option<Way> {
        match token.split_once('/')? {
            ("f", place) => Place::read(place).map(Way::Forward),
            ("b", place) => Place::read(place).map(|place| Way::Back(Some(place))),
            _ => None,
        }
    }

    fn page(self, lines: &[LogLine], limit: usize, start: Timestamp) -> Value {
        let (from, to) = match self {
            Way::Forward(place) => {
                let from = place.passed(lines);
                (from, from + fitting(lines.iter().skip(from).take(limit)))
            }
            Way::Back(place) => {
                let to = lines.len() - place.map_or(0, |place| place.ahead(lines));
                (to - fitting(lines.iter().take(to).rev().take(limit)), to)
            }
        };
        let behind = Place::behind(lines.get(..to).unwrap_or_default());
        let before = Place::before(lines.get(from..).unwrap_or_default());
        // Where nothing is on one side, that side begins at the edge of what is there.
        let forward = behind.or(match self {
            Way::Forward(place) => Some(place),
            Way::Back(_) => None,
        });
        let forward = forward.unwrap_or_else(|| Place::start(lines.first().map_or(start, |line| line.time)));
        let back = before.or(match self {
            Way::Back(place) => place,
            Way::Forward(_) => None,
        });
        let back = back.unwrap_or_else(|| Place::start(lines.last().map_or(forward.time, |line| line.time)));
        let events: Vec<Value> = lines.iter().take(to).skip(from).map(event).collect();
        json!({ "events": events, "nextForwardToken": format!("f/{forward}"), "nextBackwardToken": format!("b/{back}") })
    }
}

/// How many of them one answer holds: one at least.
fn fitting<'l>(lines: impl Iterator<Item = &'l LogLine>) -> usize {
    let mut bytes = 0;
    let fits = lines.enumerate().take_while(|(at, line)| {
        bytes += line.text.len();
        bytes <= ANSWER_BYTES_MAX || *at == 0
    });
    fits.count()
}

fn event(line: &LogLine) -> Value {
    json!({ "timestamp": line.time.0, "ingestionTime": line.time.0, "message": line.text })
}

fn limit(asked: &Asked) -> Result<usize, Refusal> {
    Ok(asked.number("limit", 1..=LINES_MAX as u64)?.unwrap_or(LINES_MAX as u64) as usize)
}

fn time(asked: &Asked, name: &str) -> Result<Option<Timestamp>, Refusal> {
    Ok(asked.number(name, 0..=i64::MAX as u64)?.map(Timestamp))
}

fn no_token(asked: &Asked) -> Refusal {
    asked.invalid("The specified nextToken is invalid.")
}

fn bytes(lines: &[LogLine]) -> usize {
    lines.iter().map(|line| line.text.len()).sum()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
