//! What fires a function, from words that the manifests share to the core's bindings.

use std::sync::Arc;

use mote_core::Error;
use mote_core::function::delivery::Retry;
use mote_core::function::timer::Timer;
use mote_core::function::{Binding, Cors, HttpRoute, Name, ObjectChange, QueueBinding, Receiver, UrlAccess};
use mote_core::schedule::{CatchUp, JITTER_MS_MAX, Options, Zone, moment};
use mote_core::topic::Subscription;
use mote_core::topic::filter::Filter;
use serde_json::{Map, Value, json};

use super::Ground;
use super::finding::{Finding, Outcome};
use super::function;
use super::yaml::{Node, Place};
use crate::aws::api::lambda::pattern_of;
use crate::aws::api::{changes_of, subscription_id};
use crate::aws::envelope::over_http::about;
use crate::aws::envelope::sns::{FILTERED, SUBSCRIPTION};
use crate::aws::rule;

const PATH_BYTES_MAX: usize = 1024;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const INPUT_BYTES_MAX: usize = 64 << 10;

pub(super) fn told<T>(at: Place, outcome: Result<T, Error>) -> Outcome<T> {
    outcome.map_err(|error| Finding::new(at, error.detail().to_owned()))
}

/// An API as its routes speak of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Api {
    pub(super) payload: &'static str,
    pub(super) stage: String,
    pub(super) variables: Map<String, Value>,
    pub(super) cors: Option<Cors>,
}

impl Api {
    pub(super) fn rest(stage: &str) -> Api {
        Api { payload: "1.0", stage: stage.to_owned(), ..Api::default() }
    }

    pub(super) fn http() -> Api {
        Api { payload: "2.0", stage: "$default".to_owned(), ..Api::default() }
    }

    pub(super) fn route(&self, at: Place, path: &str, method: &str) -> Outcome<Binding> {
        if !path.starts_with('/') || path.starts_with("/@") || path.len() > PATH_BYTES_MAX || path.chars().any(char::is_control) {
            let shown: String = path.chars().take(80).collect();
            return Err(Finding::new(at, format!("{shown:?} is no path of a route: it begins with '/', and not with \"/@\"")));
        }
        let method = method.to_ascii_uppercase();
        let methods = match method.as_str() {
            "ANY" | "*" | "X-AMAZON-APIGATEWAY-ANY-METHOD" => Vec::new(),
            known if METHODS.contains(&known) => vec![method],
            _ => return Err(Finding::new(at, format!("{method:.40} is no method; {} or ANY is wanted", METHODS.join(", ")))),
        };
        let mut said =
            Map::from_iter([(about::PAYLOAD.to_owned(), self.payload.into()), (about::STAGE.to_owned(), self.stage.as_str().into())]);
        if !self.variables.is_empty() {
            said.insert(about::STAGE_VARIABLES.to_owned(), self.variables.clone().into());
        }
        Ok(Binding::Http(Arc::new(HttpRoute {
            about: said,
            cors: self.cors.clone(),
            access: Some(UrlAccess::Public),
            ..HttpRoute::new(path_of(path), methods)
        })))
    }
}

/// `{proxy+}`, as API Gateway has it, is `{*proxy}` here.
pub(crate) fn path_of(path: &str) -> String {
    let mut written = String::with_capacity(path.len());
    for part in path.split_inclusive('}') {
        match part.strip_suffix("+}").and_then(|part| part.rsplit_once('{')) {
            Some((before, name)) => written.extend([before, "{*", name, "}"]),
            None => written.push_str(part),
        }
    }
    written
}

/// Rules for pages of other origins; `*` for methods and headers stands for all.
pub(super) fn cors(at: Place, cors: Cors) -> Outcome<Cors> {
    let all = |list: Vec<String>| if list.iter().any(|one| one == "*") { Vec::new() } else { list };
    let cors = Cors { methods: all(cors.methods), headers: all(cors.headers), expose: all(cors.expose), ..cors };
    let lists = [&cors.origins, &cors.methods, &cors.headers, &cors.expose];
    let sound = |text: &String| !text.is_empty() && text.len() <= PATH_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    if cors.origins.is_empty() || !lists.into_iter().flatten().all(sound) {
        return Err(Finding::new(at, "the rules for other origins name none, or hold what no header may"));
    }
    if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
        return Err(Finding::new(at, "credentials are allowed to every origin, which browsers refuse: name the origins"));
    }
    Ok(cors)
}

/// A schedule's words.
#[derive(Default)]
pub(super) struct Timing<'a> {
    pub(super) name: &'a str,
    pub(super) expression: &'a str,
    /// Of EventBridge, which is stricter than Scheduler.
    pub(super) of_rule: bool,
    pub(super) zone: Option<&'a str>,
    pub(super) start: Option<&'a str>,
    pub(super) end: Option<&'a str>,
    /// How late a fire may be.
    pub(super) window_ms: u64,
    pub(super) input: Option<String>,
    pub(super) disabled: bool,
    pub(super) retry: Option<Retry>,
}

pub(super) fn timer(at: Place, timing: Timing<'_>) -> Outcome<Binding> {
    let wrong = || Finding::new(at, format!("{:.80} is no schedule as AWS has them", timing.expression));
    let schedule = if timing.of_rule { rule::of_rule(timing.expression) } else { rule::of_schedule(timing.expression) };
    let schedule = schedule.ok_or_else(wrong)?;
    let zone: Zone = timing.zone.map_or_else(|| Ok(Zone::default()), |zone| told(at, zone.parse()))?;
    let edge = |text: Option<&str>| {
        let read = |text: &str| moment(text, &zone).ok_or_else(|| Finding::new(at, format!("{text:.40} is no date with a time")));
        text.map(read).transpose()
    };
    let (start, end) = (edge(timing.start)?, edge(timing.end)?);
    let options = Options { zone, start, end, jitter_ms: timing.window_ms.min(JITTER_MS_MAX) };
    told(at, options.check())?;
    if timing.input.as_ref().is_some_and(|input| input.len() > INPUT_BYTES_MAX) {
        return Err(Finding::new(at, format!("the input has more than {INPUT_BYTES_MAX} bytes")));
    }
    let timer = Timer {
        name: Some(told(at, Name::new(timing.name))?),
        schedule,
        options,
        // What falls into a time without a server does not come later, as at AWS.
        catch_up: CatchUp::None,
        payload: timing.input.map(Value::String),
        enabled: !timing.disabled,
        retry: timing.retry,
    };
    Ok(Binding::Timer(timer.into()))
}

/// `s3:ObjectCreated:*`, `s3:ObjectCreated:Put`, …; one that never happens here would wait for nothing.
pub(super) fn change(at: Place, event: &str) -> Outcome<ObjectChange> {
    let known = if event.starts_with("s3:") { changes_of(event) } else { changes_of(&format!("s3:{event}")) };
    known.and_then(|changes| changes.first().copied()).ok_or_else(|| {
        let told = "s3:ObjectCreated:* (or Put, Copy, CompleteMultipartUpload) and s3:ObjectRemoved:* (or Delete)";
        Finding::new(at, format!("mote tells of {told}, not of {event:.60}"))
    })
}

pub(super) fn bucket(bucket: String, mut events: Vec<ObjectChange>, prefix: String, suffix: String) -> Binding {
    events.dedup();
    Binding::Bucket { bucket, events, prefix, suffix, retry: None }
}

/// How a function gets a queue's messages; what is not said is as AWS has it.
#[derive(Default)]
pub(super) struct Batches {
    pub(super) size: Option<u64>,
    pub(super) window_s: Option<u64>,
    pub(super) concurrency: Option<u64>,
    /// The reply names the messages that failed.
    pub(super) reports: bool,
    pub(super) filters: Vec<Filter>,
}

const FILTERS_MAX: usize = 10;

/// Patterns of messages that a function wants, each a map or a text of JSON.
pub(super) fn filters(at: Place, patterns: &[Node]) -> Outcome<Vec<Filter>> {
    if patterns.len() > FILTERS_MAX {
        return Err(Finding::new(at, format!("there are {} filters, and may be {FILTERS_MAX}", patterns.len())));
    }
    let filter = |node: &Node| {
        let text = node.as_text().map_or_else(|| node.json().to_string(), str::to_owned);
        pattern_of(&text).map_err(|why| Finding::new(node.at, why))
    };
    patterns.iter().map(filter).collect()
}

/// Of a queue's ARN.
pub(super) fn queue(ground: &Ground<'_>, at: Place, arn: &str, batches: Batches) -> Outcome<Binding> {
    let queue = told(at, Name::new(last(ground, at, arn, "sqs")?))?;
    let (batch, window_ms) = (batches.size.unwrap_or(10) as u32, batches.window_s.unwrap_or_default() * 1000);
    if batch > 10 && window_ms == 0 {
        return Err(Finding::new(at, "a batch of more than 10 messages needs a window of a second at least"));
    }
    let concurrency = batches.concurrency.map_or(QueueBinding::CONCURRENCY, |most| most as u32);
    let receiver = Some(Receiver { reports: batches.reports });
    let filters = batches.filters;
    Ok(Binding::Queue(QueueBinding { batch, window_ms, concurrency, receiver, filters, ..QueueBinding::new(queue) }.into()))
}

/// Of a topic's ARN; `policy` is read of the attributes, or of the body.
pub(super) fn topic(ground: &Ground<'_>, at: Place, arn: &str, policy: Option<Value>, of_body: bool, function: &Name) -> Outcome<Binding> {
    let topic = told(at, Name::new(last(ground, at, arn, "sns")?))?;
    let scope = if of_body { "data" } else { FILTERED };
    let filter = policy.map(|policy| told(at, Filter::read(json!({ scope: policy })))).transpose()?;
    let id = subscription_id("lambda", &format!("the function {function}"));
    let adds = Map::from_iter([(SUBSCRIPTION.to_owned(), ground.arn("sns", &format!("{topic}:{id}")).into())]);
    Ok(Binding::Topic(Subscription { topic, filter, retry: None, adds }.into()))
}

/// The name at the end of an ARN of a service, of this account.
pub(super) fn last<'t>(ground: &Ground<'_>, at: Place, arn: &'t str, service: &str) -> Outcome<&'t str> {
    function::check_owner(ground, at, arn)?;
    match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, found, _, _, name] if *found == service => Ok(name),
        _ => Err(Finding::new(at, format!("{arn:.100} is no ARN of {service}"))),
    }
}
