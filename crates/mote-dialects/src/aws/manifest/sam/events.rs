//! The `Events` of a function: what fires it.

use mote_core::function::delivery::Retry;
use mote_core::function::{Binding, Name};
use mote_core::topic::filter::Filter;

use super::super::bindings::{self, Batches, Timing};
use super::super::finding::{Finding, Findings, Outcome};
use super::super::template::{Props, wanted};
use super::super::yaml::{Key, Node, Place};
use super::apis::Apis;

type Silent = (&'static str, &'static str);

const NO_GATEWAY: &str = "mote has no gateway before its functions";
const API: [&str; 3] = ["Path", "Method", "RestApiId"];
const API_SILENT: [Silent; 3] = [("RequestModel", NO_GATEWAY), ("RequestParameters", NO_GATEWAY), ("TimeoutInMillis", NO_GATEWAY)];
const HTTP_API: [&str; 4] = ["Path", "Method", "ApiId", "PayloadFormatVersion"];
const HTTP_API_SILENT: [Silent; 2] = [("RouteSettings", NO_GATEWAY), ("TimeoutInMillis", NO_GATEWAY)];
const NAMES: [Silent; 3] =
    [("Name", "the timer has the event's name"), ("Description", "nobody is shown it"), ("GroupName", "schedules have no groups")];
const ROLE: Silent = ("RoleArn", "rights are those of mote's tokens");

/// Those that are wrong are told, and left out.
pub(super) fn read(props: &Props<'_, '_>, apis: &Apis<'_>, function: &Name, found: &mut Findings) -> Vec<Binding> {
    let Some(events) = found.keep(props.map("Events")) else { return Vec::new() };
    let mut all = Vec::new();
    for (key, node) in events.entries() {
        let binding = event(&events, key, node, apis, function, found);
        all.extend(found.keep(binding));
    }
    all
}

fn event(events: &Props<'_, '_>, key: &Key, node: &Node, apis: &Apis<'_>, function: &Name, found: &mut Findings) -> Outcome<Binding> {
    let kind = node.get("Type").ok_or_else(|| Finding::new(key.at, format!("the event {} has no Type", key.text)))?;
    let props = Props::of(events.template(), node.at, node.get("Properties"))?;
    match kind.as_text().unwrap_or_default() {
        "Api" => {
            props.expect("an Api event", &API, &API_SILENT, found);
            let (path, method) = (text(&props, "Path")?, text(&props, "Method")?);
            apis.of(&props, "RestApiId", true)?.route(path.0, &path.1, &method.1)
        }
        "HttpApi" => http_api(&props, apis, found),
        "Schedule" => schedule(&props, &key.text, found),
        "ScheduleV2" => schedule_v2(&props, &key.text, found),
        "S3" => s3(&props, found),
        "SQS" => sqs(&props, found),
        "SNS" => sns(&props, function, found),
        other => Err(Finding::new(kind.at, format!("{}: mote has no events of {other:.60}", key.text))),
    }
}

fn text(props: &Props<'_, '_>, name: &str) -> Outcome<(Place, std::rc::Rc<str>)> {
    props.text(name)?.ok_or_else(|| Finding::new(props.at, format!("{name} is missing")))
}

fn http_api(props: &Props<'_, '_>, apis: &Apis<'_>, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an HttpApi event", &HTTP_API, &HTTP_API_SILENT, found);
    let mut api = apis.of(props, "ApiId", false)?.clone();
    if let Some((at, version)) = props.text("PayloadFormatVersion")? {
        api.payload = match &*version {
            "1.0" => "1.0",
            "2.0" => "2.0",
            _ => return Err(Finding::new(at, format!("{version:.20} stands where 1.0 or 2.0 is wanted"))),
        };
    }
    match (props.text("Path")?, props.text("Method")?) {
        (Some((at, path)), Some((_, method))) => api.route(at, &path, &method),
        // Every request that no other route takes.
        (None, None) => api.route(props.at, "/{proxy+}", "ANY"),
        _ => Err(Finding::new(props.at, "Path and Method stand together")),
    }
}

fn schedule(props: &Props<'_, '_>, id: &str, found: &mut Findings) -> Outcome<Binding> {
    props.expect("a Schedule", &["Schedule", "Input", "Enabled", "State", "RetryPolicy"], &[&NAMES[..], &[ROLE]].concat(), found);
    let (at, expression) = text(props, "Schedule")?;
    let disabled = props.flag("Enabled")? == Some(false) || state(props)?;
    let (input, retry) = (input(props)?, retry(props)?);
    bindings::timer(at, Timing { name: id, expression: &expression, of_rule: true, input, disabled, retry, ..Timing::default() })
}

const SCHEDULE_V2: [&str; 8] =
    ["ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "StartDate", "EndDate", "Input", "State", "RetryPolicy"];
const V2_SILENT: [Silent; 3] =
    [ROLE, ("PermissionsBoundary", "rights are those of mote's tokens"), ("OmitName", "the timer has the event's name")];

fn schedule_v2(props: &Props<'_, '_>, id: &str, found: &mut Findings) -> Outcome<Binding> {
    props.expect("a ScheduleV2", &SCHEDULE_V2, &[&NAMES[..], &V2_SILENT].concat(), found);
    let (at, expression) = text(props, "ScheduleExpression")?;
    let word = |name: &str| props.text(name).map(|text| text.map(|(_, text)| text));
    let (zone, start, end) = (word("ScheduleExpressionTimezone")?, word("StartDate")?, word("EndDate")?);
    let window = props.map("FlexibleTimeWindow")?;
    let minutes = window.number("MaximumWindowInMinutes", 1..=1440)?.unwrap_or_default();
    let timing = Timing {
        name: id,
        expression: &expression,
        of_rule: false,
        zone: zone.as_deref(),
        start: start.as_deref(),
        end: end.as_deref(),
        window_ms: minutes * 60_000,
        input: input(props)?,
        disabled: state(props)?,
        retry: retry(props)?,
    };
    bindings::timer(at, timing)
}

fn state(props: &Props<'_, '_>) -> Outcome<bool> {
    Ok(props.text("State")?.is_some_and(|(_, state)| &*state == "DISABLED"))
}

/// A JSON text, or its value.
fn input(props: &Props<'_, '_>) -> Outcome<Option<String>> {
    let Some(node) = props.get("Input")? else { return Ok(None) };
    match node.as_text() {
        Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => Err(wanted(&node, "a text of JSON")),
        Some(text) => Ok(Some(text.to_owned())),
        None => Ok(Some(node.json().to_string())),
    }
}

fn retry(props: &Props<'_, '_>) -> Outcome<Option<Retry>> {
    if props.raw("RetryPolicy").is_none() {
        return Ok(None);
    }
    let policy = props.map("RetryPolicy")?;
    let mut retry = Retry::default();
    if let Some(retries) = policy.number("MaximumRetryAttempts", 0..=185)? {
        retry.attempts_max = retries as u32 + 1;
    }
    if let Some(age_s) = policy.number("MaximumEventAgeInSeconds", 60..=86_400)? {
        retry.age_max_ms = age_s * 1000;
    }
    Ok(Some(retry))
}

fn s3(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an S3 event", &["Bucket", "Events", "Filter"], &[], found);
    let (_, bucket) = text(props, "Bucket")?;
    let mut changes = Vec::new();
    for event in props.list("Events")? {
        changes.push(bindings::change(event.at, event.as_text().unwrap_or_default())?);
    }
    if changes.is_empty() {
        return Err(Finding::new(props.at, "Events is missing"));
    }
    let (mut prefix, mut suffix) = (String::new(), String::new());
    let rules = props.map("Filter")?.map("S3Key")?.get("Rules")?;
    for rule in rules.as_ref().and_then(Node::items).unwrap_or_default() {
        let word = |name: &str| rule.get(name).and_then(Node::as_text).unwrap_or_default();
        match word("Name").to_ascii_lowercase().as_str() {
            "prefix" => prefix = word("Value").to_owned(),
            "suffix" => suffix = word("Value").to_owned(),
            _ => return Err(wanted(rule, "a rule named prefix or suffix")),
        }
    }
    Ok(bindings::bucket(bucket.to_string(), changes, prefix, suffix))
}

const SQS: [&str; 6] = ["Queue", "BatchSize", "MaximumBatchingWindowInSeconds", "ScalingConfig", "FunctionResponseTypes", "FilterCriteria"];

fn sqs(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an SQS event", &SQS, &[], found);
    let (at, arn) = text(props, "Queue")?;
    let batches = Batches {
        size: props.number("BatchSize", 1..=1000)?,
        window_s: props.number("MaximumBatchingWindowInSeconds", 0..=300)?,
        concurrency: props.map("ScalingConfig")?.number("MaximumConcurrency", 2..=1000)?,
        reports: props.texts("FunctionResponseTypes")?.iter().any(|kind| &**kind == "ReportBatchItemFailures"),
        filters: filters(props, found)?,
    };
    bindings::queue(props.template().ground, at, &arn, batches)
}

/// `FilterCriteria: {Filters: [{Pattern: …}]}`.
fn filters(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Vec<Filter>> {
    let criteria = props.map("FilterCriteria")?;
    criteria.expect("FilterCriteria", &["Filters"], &[], found);
    let mut patterns = Vec::new();
    for filter in criteria.list("Filters")? {
        let filter = Props::of(props.template(), filter.at, Some(&filter))?;
        filter.expect("a filter", &["Pattern"], &[], found);
        patterns.push(filter.get("Pattern")?.ok_or_else(|| Finding::new(filter.at, "Pattern is missing"))?);
    }
    bindings::filters(criteria.at, &patterns)
}

fn sns(props: &Props<'_, '_>, function: &Name, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an SNS event", &["Topic", "FilterPolicy", "FilterPolicyScope"], &[], found);
    let (at, arn) = text(props, "Topic")?;
    let of_body = props.text("FilterPolicyScope")?.is_some_and(|(_, scope)| &*scope == "MessageBody");
    let policy = props.get("FilterPolicy")?.map(|policy| policy.json());
    bindings::topic(props.template().ground, at, &arn, policy, of_body, function)
}
