//! A decorator's arguments as what fires its function.

use std::rc::Rc;

use mote_core::function::{Binding, Cors, Name};

use super::super::Ground;
use super::super::bindings::{self, Api, Batches, Timing};
use super::super::finding::{Finding, Outcome};
use super::super::yaml::Place;
use super::Origin;
use super::app::Module;
use super::python::value::{Arguments, Is, Value};

/// What fires a function, and what is made with it where it is not there yet.
#[derive(Default)]
pub(super) struct Wired {
    pub(super) binding: Option<Binding>,
    pub(super) bucket: Option<String>,
    pub(super) queue: Option<Name>,
}

impl From<Binding> for Wired {
    fn from(binding: Binding) -> Wired {
        Wired { binding: Some(binding), ..Wired::default() }
    }
}

pub(super) fn why_not(kind: &str) -> &'static str {
    match kind {
        "authorizer" => "mote has no authorizers of API Gateway",
        "on_cw_event" => "mote's manifests have no event patterns; a rule of EventBridge has them",
        "on_kinesis_record" | "on_dynamodb_record" => "mote has no such streams",
        _ => "mote has no WebSocket APIs",
    }
}

const ROUTE: [&str; 7] = ["path", "methods", "name", "authorizer", "api_key_required", "content_types", "cors"];

/// One for each method.
pub(super) fn routes(stage: String, origin: &Origin<'_>, at: Place, arguments: &Arguments) -> Outcome<Vec<Binding>> {
    if let Some((name, value)) = arguments.by_name.iter().find(|(name, _)| !ROUTE.contains(&&**name)) {
        return Err(Finding::new(value.at, format!("Chalice's routes have no {name:.40}")));
    }
    for name in ["authorizer", "api_key_required"] {
        match arguments.get(name, None) {
            Some(value) if value.is != Is::Flag(false) => {
                let why = "mote has no authorizers and keys of API Gateway, and the route would be open";
                return Err(Finding::new(value.at, format!("{name} can't be honoured: {why}")));
            }
            _ => {}
        }
    }
    let path = arguments.needed(at, "path", Some(0))?;
    let (at, path) = (path.at, prefixed(origin.url_prefix, &path.text("a path")?));
    let methods = match arguments.get("methods", None) {
        Some(methods) => methods.texts("a list of methods")?,
        None => vec![(at, "GET".into())],
    };
    let rules = match arguments.get("cors", None).or(origin.cors) {
        Some(value) => cors(value, origin.of)?,
        None => None,
    };
    let api = Api { cors: rules, ..Api::rest(&stage) };
    methods.into_iter().map(|(at, method)| api.route(at, &path, &method)).collect()
}

/// As Chalice puts them together.
fn prefixed(prefix: Option<&str>, path: &str) -> String {
    let Some(prefix) = prefix else { return path.to_owned() };
    let joined = format!("{}/{}", prefix.trim_end_matches('/'), path.trim_matches('/'));
    let joined = joined.trim_end_matches('/');
    if joined.is_empty() { "/".to_owned() } else { joined.to_owned() }
}

/// `True`, or `CORSConfig(…)`.
fn cors(value: &Value, module: &Module) -> Outcome<Option<Cors>> {
    const HEADERS: [&str; 5] = ["Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token"];
    let wanted = "True, False or CORSConfig(…)";
    let nothing = Arguments::default();
    let said = match &value.is {
        Is::Flag(false) => return Ok(None),
        Is::Flag(true) => &nothing,
        Is::Call(call) if module.canonical(&call.name) == "CORSConfig" && call.arguments.more.is_none() => &call.arguments,
        _ => return Err(value.unlike(wanted)),
    };
    let texts = |name: &str, place: usize| match said.get(name, Some(place)) {
        Some(value) => Ok(value.texts("a list of headers")?.iter().map(|(_, text)| text.to_string()).collect()),
        None => Ok(Vec::new()),
    };
    let origin = said.get("allow_origin", Some(0)).map(|value| value.text("an origin")).transpose()?;
    let age = said.get("max_age", Some(3)).map(|value| value.whole("a number of seconds")).transpose()?;
    let mut headers: Vec<String> = texts("allow_headers", 1)?;
    headers.extend(HEADERS.map(str::to_owned));
    let rules = Cors {
        origins: vec![origin.as_deref().unwrap_or("*").to_owned()],
        methods: Vec::new(),
        headers,
        expose: texts("expose_headers", 2)?,
        credentials: said.get("allow_credentials", Some(4)).is_some_and(|value| value.is == Is::Flag(true)),
        max_age_s: age.and_then(|age| u32::try_from(age).ok()).unwrap_or_default(),
    };
    bindings::cors(value.at, rules).map(Some)
}

/// The timer has the rest of the name that Chalice gives its rule.
const TIMER: &str = "event";

pub(super) fn schedule(at: Place, arguments: &Arguments, module: &Module) -> Outcome<Wired> {
    let value = arguments.needed(at, "expression", Some(0))?;
    let expression = match &value.is {
        Is::Text(text) => text.to_string(),
        Is::Call(call) if call.arguments.more.is_none() => match module.canonical(&call.name) {
            "Rate" => rate(value, &call.arguments, module)?,
            "Cron" => cron(value, &call.arguments)?,
            _ => return Err(value.unlike("rate(…), cron(…), Rate(…) or Cron(…)")),
        },
        _ => return Err(value.unlike("rate(…), cron(…), Rate(…) or Cron(…)")),
    };
    let timing = Timing { name: TIMER, expression: &expression, of_rule: true, ..Timing::default() };
    bindings::timer(value.at, timing).map(Wired::from)
}

fn rate(value: &Value, arguments: &Arguments, module: &Module) -> Outcome<String> {
    let number = arguments.needed(value.at, "value", Some(0))?.whole("a number")?;
    let unit = arguments.needed(value.at, "unit", Some(1))?;
    let unit = match &unit.is {
        Is::Text(text) => text.to_string(),
        Is::Name(name) if module.canonical(name.rsplit_once('.').map_or("", |(class, _)| class)) == "Rate" => {
            name.rsplit('.').next().unwrap_or_default().to_owned()
        }
        _ => return Err(unit.unlike("Rate.MINUTES, Rate.HOURS or Rate.DAYS")),
    };
    let unit = unit.to_ascii_lowercase();
    let unit = if number == 1 { unit.strip_suffix('s').unwrap_or(&unit) } else { &unit };
    Ok(format!("rate({number} {unit})"))
}

fn cron(value: &Value, arguments: &Arguments) -> Outcome<String> {
    let field = |(place, name): (usize, &str)| {
        let value = arguments.needed(value.at, name, Some(place))?;
        match &value.is {
            Is::Text(text) => Ok(text.to_string()),
            Is::Number(number) => Ok(number.to_string()),
            _ => Err(value.unlike("a field of a schedule")),
        }
    };
    let names = ["minutes", "hours", "day_of_month", "month", "day_of_week", "year"];
    let fields = names.into_iter().enumerate().map(field).collect::<Outcome<Vec<_>>>()?;
    Ok(format!("cron({})", fields.join(" ")))
}

/// The bucket is made with it.
pub(super) fn bucket(at: Place, arguments: &Arguments) -> Outcome<Wired> {
    let bucket = arguments.needed(at, "bucket", Some(0))?.text("a bucket's name")?.to_string();
    let events = match arguments.get("events", Some(1)) {
        Some(events) => events.texts("a list of events")?,
        None => vec![(at, "s3:ObjectCreated:*".into())],
    };
    let changes = events.iter().map(|(at, event)| bindings::change(*at, event)).collect::<Outcome<Vec<_>>>()?;
    let text = |name: &str, place: usize| -> Outcome<String> {
        let text: Option<Rc<str>> = arguments.get(name, Some(place)).map(|value| value.text("a text")).transpose()?;
        Ok(text.as_deref().unwrap_or_default().to_owned())
    };
    let binding = bindings::bucket(bucket.clone(), changes, text("prefix", 2)?, text("suffix", 3)?);
    Ok(Wired { bucket: Some(bucket), ..Wired::from(binding) })
}

/// The queue is made with it.
pub(super) fn queue(ground: &Ground<'_>, at: Place, arguments: &Arguments) -> Outcome<Wired> {
    let number = |name: &str, place: usize| -> Outcome<Option<u64>> {
        let Some(value) = arguments.get(name, Some(place)) else { return Ok(None) };
        u64::try_from(value.whole("a number")?).map(Some).map_err(|_| value.unlike("a number that is not negative"))
    };
    let (at, arn) = match (arguments.get("queue", Some(0)), arguments.get("queue_arn", Some(3))) {
        (Some(name), _) => (name.at, ground.arn("sqs", &name.text("a queue's name")?)),
        (None, Some(arn)) => (arn.at, arn.text("a queue's ARN")?.to_string()),
        (None, None) => return Err(Finding::new(at, "queue is missing")),
    };
    let batches = Batches {
        size: Some(number("batch_size", 1)?.unwrap_or(1).clamp(1, 1000)),
        window_s: number("maximum_batching_window_in_seconds", 4)?.map(|window| window.min(300)),
        concurrency: number("maximum_concurrency", 5)?.map(|most| most.clamp(2, 1000)),
        ..Batches::default()
    };
    let queue = bindings::told(at, Name::new(bindings::last(ground, at, &arn, "sqs")?))?;
    Ok(Wired { queue: Some(queue), ..Wired::from(bindings::queue(ground, at, &arn, batches)?) })
}

pub(super) fn topic(ground: &Ground<'_>, at: Place, arguments: &Arguments, function: &Name) -> Outcome<Wired> {
    let topic = arguments.needed(at, "topic", Some(0))?;
    let (at, topic) = (topic.at, topic.text("a topic's name or ARN")?);
    let arn = if topic.starts_with("arn:") { topic.to_string() } else { ground.arn("sns", &topic) };
    bindings::topic(ground, at, &arn, None, false, function).map(Wired::from)
}
