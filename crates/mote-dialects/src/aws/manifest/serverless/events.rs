//! The `events` of a function: what fires it.

use std::rc::Rc;

use mote_core::function::{Binding, Cors, Name};

use super::super::bindings::{self, Api, Batches, Timing};
use super::super::finding::{Finding, Findings, Outcome};
use super::super::template::{Props, wanted};
use super::super::yaml::{Node, Place};

type Silent = (&'static str, &'static str);

const NO_GATEWAY: &str = "mote has no gateway before its functions";
const UNSHOWN: &str = "nobody is shown it";

/// What a function's events take from around it.
pub(super) struct Around<'s> {
    pub(super) rest: &'s Api,
    pub(super) http: &'s Api,
    pub(super) function: &'s Name,
}

/// Those that are wrong are told, and left out. Buckets that events name are made with them.
pub(super) fn read(props: &Props<'_, '_>, around: &Around<'_>, buckets: &mut Vec<String>, found: &mut Findings) -> Vec<Binding> {
    let events = found.keep(props.list("events")).unwrap_or_default();
    let mut all = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let bound = one(props, event, number + 1, around, buckets, found);
        all.extend(found.keep(bound).into_iter().flatten());
    }
    all
}

fn one(
    props: &Props<'_, '_>,
    event: &Node,
    number: usize,
    around: &Around<'_>,
    buckets: &mut Vec<String>,
    found: &mut Findings,
) -> Outcome<Vec<Binding>> {
    let Some([(kind, node)]) = event.entries() else { return Err(wanted(event, "an event, such as `- http: GET /path`")) };
    let lone = node.as_text();
    let said = Props::of(props.template(), node.at, Some(node).filter(|node| node.entries().is_some()))?;
    match (&*kind.text, lone) {
        ("http", Some(line)) => line_of(node.at, line).and_then(|(method, path)| around.rest.route(node.at, &path, &method)).map(one_of),
        ("http", None) => http(&said, around, found).map(one_of),
        ("httpApi", Some("*")) => around.http.route(node.at, "/{proxy+}", "ANY").map(one_of),
        ("httpApi", Some(line)) => line_of(node.at, line).and_then(|(method, path)| around.http.route(node.at, &path, &method)).map(one_of),
        ("httpApi", None) => {
            said.expect("an httpApi event", &["path", "method"], &[("timeout", NO_GATEWAY)], found);
            let ((at, path), (_, method)) = (text(&said, "path")?, text(&said, "method")?);
            around.http.route(at, &path, &method).map(one_of)
        }
        ("schedule", Some(rate)) => {
            bindings::timer(node.at, Timing { name: &name(number), expression: rate, of_rule: true, ..Timing::default() }).map(one_of)
        }
        ("schedule", None) => schedule(&said, number, found),
        ("s3", Some(bucket)) => {
            buckets.push(bucket.to_owned());
            let created = bindings::change(node.at, "s3:ObjectCreated:*")?;
            Ok(vec![bindings::bucket(bucket.to_owned(), vec![created], String::new(), String::new())])
        }
        ("s3", None) => s3(&said, buckets, found).map(one_of),
        ("sqs", Some(arn)) => bindings::queue(said.template().ground, node.at, arn, Batches::default()).map(one_of),
        ("sqs", None) => sqs(&said, found).map(one_of),
        ("sns", lone) => sns(&said, node, lone, around.function, found).map(one_of),
        (other, _) => Err(Finding::new(kind.at, format!("mote has no events of {other:.40}"))),
    }
}

fn one_of(binding: Binding) -> Vec<Binding> {
    vec![binding]
}

fn name(number: usize) -> String {
    format!("schedule-{number}")
}

/// `GET /path`.
fn line_of(at: Place, line: &str) -> Outcome<(String, String)> {
    let (method, path) = line.trim().split_once(' ').ok_or_else(|| Finding::new(at, format!("{line:.80} is no method and path")))?;
    Ok((method.to_owned(), rooted(path)))
}

fn rooted(path: &str) -> String {
    format!("/{}", path.trim().trim_start_matches('/'))
}

fn text(props: &Props<'_, '_>, name: &str) -> Outcome<(Place, Rc<str>)> {
    props.text(name)?.ok_or_else(|| Finding::new(props.at, format!("{name} is missing")))
}

fn http(props: &Props<'_, '_>, around: &Around<'_>, found: &mut Findings) -> Outcome<Binding> {
    const SILENT: [Silent; 2] = [("request", NO_GATEWAY), ("operationId", UNSHOWN)];
    props.expect("an http event", &["path", "method", "cors", "integration"], &SILENT, found);
    if let Some((at, kind)) = props.text("integration")?.filter(|(_, kind)| !kind.to_ascii_lowercase().ends_with("proxy")) {
        return Err(Finding::new(at, format!("the integration is {kind:.40}, and mote has lambda-proxy")));
    }
    let ((at, path), (_, method)) = (text(props, "path")?, text(props, "method")?);
    let api = Api { cors: cors(props, "cors")?, ..around.rest.clone() };
    api.route(at, &rooted(&path), &method)
}

/// `true`, or a map in either of the words that Serverless has for the same.
pub(super) fn cors(props: &Props<'_, '_>, name: &str) -> Outcome<Option<Cors>> {
    let Some(node) = props.raw(name) else { return Ok(None) };
    if let Some(flag) = node.flag() {
        return Ok(flag.then(|| Cors { origins: vec!["*".to_owned()], ..Cors::default() }));
    }
    let rules = props.map(name)?;
    let first = |names: &[&str]| {
        for name in names {
            let texts = rules.texts(name)?;
            if !texts.is_empty() {
                return Ok(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
            }
        }
        Ok(Vec::new())
    };
    let credentials = rules.flag("allowCredentials")?.unwrap_or_default();
    let mut origins = first(&["allowedOrigins", "origins", "origin"])?;
    if origins.is_empty() {
        origins.push("*".to_owned());
    }
    let cors = Cors {
        origins,
        methods: first(&["allowedMethods", "methods"])?,
        headers: first(&["allowedHeaders", "headers"])?,
        expose: first(&["exposedResponseHeaders"])?,
        credentials,
        max_age_s: rules.number("maxAge", 0..=86_400)?.unwrap_or_default() as u32,
    };
    bindings::cors(node.at, cors).map(Some)
}

/// Of the provider.
pub(super) fn http_api(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Api> {
    const SILENT: [Silent; 4] =
        [("name", UNSHOWN), ("metrics", NO_GATEWAY), ("timeout", NO_GATEWAY), ("disableDefaultEndpoint", NO_GATEWAY)];
    props.expect("httpApi", &["payload", "cors"], &SILENT, found);
    let mut api = Api { cors: cors(props, "cors")?, ..Api::http() };
    if let Some((at, payload)) = props.text("payload")? {
        api.payload = match &*payload {
            "1.0" => "1.0",
            "2.0" => "2.0",
            _ => return Err(Finding::new(at, format!("{payload:.20} stands where 1.0 or 2.0 is wanted"))),
        };
    }
    Ok(api)
}

fn schedule(props: &Props<'_, '_>, number: usize, found: &mut Findings) -> Outcome<Vec<Binding>> {
    const SILENT: [Silent; 3] = [("name", "the timer has a name of its own"), ("description", UNSHOWN), ("groupName", UNSHOWN)];
    props.expect("a schedule", &["rate", "enabled", "input", "method", "timezone"], &SILENT, found);
    let of_rule = props.text("method")?.is_none_or(|(_, method)| &*method != "scheduler");
    let zone = props.text("timezone")?.map(|(_, zone)| zone);
    let input = props.get("input")?.map(|node| node.json().to_string());
    let disabled = props.flag("enabled")? == Some(false);
    let rates = props.list("rate")?;
    if rates.is_empty() {
        return Err(Finding::new(props.at, "rate is missing"));
    }
    let timer = |(at, rate): (usize, &Node)| {
        let name = if at == 0 { name(number) } else { format!("{}-{}", name(number), at + 1) };
        let expression = rate.as_text().ok_or_else(|| wanted(rate, "rate(…) or cron(…)"))?;
        let timing =
            Timing { name: &name, expression, of_rule, zone: zone.as_deref(), input: input.clone(), disabled, ..Timing::default() };
        bindings::timer(rate.at, timing)
    };
    rates.iter().enumerate().map(timer).collect()
}

fn s3(props: &Props<'_, '_>, buckets: &mut Vec<String>, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an s3 event", &["bucket", "event", "rules", "existing"], &[("forceDeploy", "every deploy binds it")], found);
    let (_, bucket) = text(props, "bucket")?;
    if props.flag("existing")? != Some(true) {
        buckets.push(bucket.to_string());
    }
    let event = props.text("event")?;
    let change = event.map_or_else(|| bindings::change(props.at, "s3:ObjectCreated:*"), |(at, event)| bindings::change(at, &event))?;
    let (mut prefix, mut suffix) = (String::new(), String::new());
    for rule in props.list("rules")? {
        for (key, value) in rule.entries().unwrap_or_default() {
            let value = value.as_text().unwrap_or_default().to_owned();
            match &*key.text {
                "prefix" => prefix = value,
                "suffix" => suffix = value,
                _ => return Err(wanted(&rule, "prefix or suffix")),
            }
        }
    }
    Ok(bindings::bucket(bucket.to_string(), vec![change], prefix, suffix))
}

fn sqs(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Binding> {
    const KNOWN: [&str; 6] = ["arn", "batchSize", "maximumBatchingWindow", "maximumConcurrency", "functionResponseType", "filterPatterns"];
    props.expect("an sqs event", &KNOWN, &[], found);
    let (at, arn) = text(props, "arn")?;
    let batches = Batches {
        size: props.number("batchSize", 1..=1000)?,
        window_s: props.number("maximumBatchingWindow", 0..=300)?,
        concurrency: props.number("maximumConcurrency", 2..=1000)?,
        reports: props.text("functionResponseType")?.is_some_and(|(_, kind)| &*kind == "ReportBatchItemFailures"),
        filters: bindings::filters(props.at, &props.list("filterPatterns")?)?,
    };
    bindings::queue(props.template().ground, at, &arn, batches)
}

/// A topic's name, its ARN, or a map with either.
fn sns(props: &Props<'_, '_>, node: &Node, lone: Option<&str>, function: &Name, found: &mut Findings) -> Outcome<Binding> {
    props.expect("an sns event", &["arn", "topicName", "filterPolicy", "filterPolicyScope"], &[("displayName", UNSHOWN)], found);
    let named = |word: &str| match word.starts_with("arn:") {
        true => word.to_owned(),
        false => props.template().ground.arn("sns", word),
    };
    let arn = match (lone, props.text("arn")?, props.text("topicName")?) {
        (Some(word), ..) => named(word),
        (None, Some((_, arn)), _) => arn.to_string(),
        (None, None, Some((_, name))) => named(&name),
        (None, None, None) => return Err(Finding::new(node.at, "the topic's name or ARN is missing")),
    };
    let of_body = props.text("filterPolicyScope")?.is_some_and(|(_, scope)| &*scope == "MessageBody");
    let policy = props.get("filterPolicy")?.map(|policy| policy.json());
    bindings::topic(props.template().ground, node.at, &arn, policy, of_body, function)
}
