//! A schedule as its client says it: read whole, or refused with what is wrong.

use mote_core::clock::Timestamp;
use mote_core::function::Name;
use mote_core::rule::{Rule, Target};
use mote_core::schedule::{Options, Schedule, Zone};
use serde_json::{Map, Value, json};

use super::{Asked, DEFAULT_GROUP, Refusal, named, unexpected};
use crate::aws::rule::{self, ARN};

const INPUT_BYTES_MAX: usize = 256 << 10;
/// What can't be written as a time.
const YEAR_10000_S: f64 = 253_402_300_800.0;
const MINUTE_MS: u64 = 60_000;
/// Of a target; a retry policy is kept and told.
const OF_TARGET: [&str; 4] = ["Arn", "RoleArn", "Input", "RetryPolicy"];
pub(super) const CREATED: &str = "CreationDate";
pub(super) const CHANGED: &str = "LastModificationDate";

/// See the module's text.
pub(super) struct Wish {
    /// The client's own.
    pub(super) group: Name,
    pub(super) name: Name,
    schedule: Schedule,
    options: Options,
    enabled: bool,
    ends: bool,
    target: Target,
    about: Map<String, Value>,
}

impl Wish {
    pub(super) fn read(asked: &Asked, name: &str) -> Result<Wish, Refusal> {
        let group = named(asked, "groupName", asked.text("GroupName").unwrap_or(DEFAULT_GROUP))?;
        let name = named(asked, "name", name)?;
        if asked.text("KmsKeyArn").is_some() {
            return Err(asked.invalid("mote's schedules have no setting KmsKeyArn."));
        }
        let expression = asked.needed("ScheduleExpression")?;
        let schedule = rule::of_schedule(expression);
        let schedule = schedule.ok_or_else(|| asked.invalid(format!("Invalid Schedule Expression {expression:.256}.")))?;
        let zone = asked.text("ScheduleExpressionTimezone").unwrap_or("UTC");
        let (start, end) = (date(asked, "StartDate")?, date(asked, "EndDate")?);
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            return Err(asked.invalid("The StartDate must be before the EndDate."));
        }
        let options = Options {
            zone: zone.parse::<Zone>().map_err(|_| asked.invalid(format!("Invalid ScheduleExpressionTimezone {zone:.50}.")))?,
            start,
            end,
            jitter_ms: window_ms(asked)?,
        };
        let one_of = |member: &str, first: &str, second: &str| match asked.text(member) {
            None => Ok(false),
            Some(text) if text == first => Ok(false),
            Some(text) if text == second => Ok(true),
            Some(_) => Err(asked.invalid(format!("{member} must satisfy enum value set: [{first}, {second}]"))),
        };
        let enabled = !one_of("State", "ENABLED", "DISABLED")?;
        let ends = one_of("ActionAfterCompletion", "NONE", "DELETE")?;
        let mut about = Map::from_iter([
            (ARN.to_owned(), asked.arn(&format!("schedule/{group}/{name}")).into()),
            ("ScheduleExpression".to_owned(), expression.into()),
            ("ScheduleExpressionTimezone".to_owned(), zone.into()),
            ("FlexibleTimeWindow".to_owned(), asked.input["FlexibleTimeWindow"].clone()),
            ("ActionAfterCompletion".to_owned(), if ends { "DELETE" } else { "NONE" }.into()),
        ]);
        for (member, at) in [("StartDate", start), ("EndDate", end)] {
            about.extend(at.map(|at| (member.to_owned(), seconds(at))));
        }
        if let Some(text) = asked.text("Description") {
            about.insert("Description".to_owned(), text.chars().take(512).collect::<String>().into());
        }
        Ok(Wish { group, name, schedule, options, enabled, ends, target: target(asked)?, about })
    }

    /// An interval is counted from its start, or else from when the schedule came; it goes on if it is the same.
    pub(super) fn rule(self, asked: &Asked, before: Option<&Rule>) -> Result<Rule, Refusal> {
        let now = asked.ask().stamp.time;
        let Wish { group, name, schedule, mut options, enabled, ends, target, mut about } = self;
        let is_same = |before: &&Rule| before.enabled && before.timer.as_ref().is_some_and(|timer| timer.schedule == schedule);
        let since = before.filter(is_same).map_or(now, |before| before.since);
        options.start = options.start.or(Some(since));
        about.insert(CREATED.to_owned(), before.and_then(|before| before.about.get(CREATED).cloned()).unwrap_or_else(|| seconds(now)));
        about.insert(CHANGED.to_owned(), seconds(now));
        let (group, dialect) = (rule::of_schedules(group.as_str()).ok_or_else(unexpected)?, crate::aws::NAME.to_owned());
        let (namespace, timer) = (asked.namespace(), Some(rule::timer(schedule, options)));
        Ok(Rule { namespace, group, name, dialect, on: None, timer, enabled, since, ends, targets: vec![target], about })
    }
}

/// As AWS writes a time.
pub(super) fn seconds(at: Timestamp) -> Value {
    (at.0 as f64 / 1000.0).into()
}

fn date(asked: &Asked, member: &str) -> Result<Option<Timestamp>, Refusal> {
    match &asked.input[member] {
        Value::Null => Ok(None),
        value => {
            let seconds = value.as_f64().filter(|seconds| (0.0..YEAR_10000_S).contains(seconds));
            seconds.map(|seconds| Some(Timestamp((seconds * 1000.0) as u64))).ok_or_else(|| asked.invalid(format!("{member} is no time")))
        }
    }
}

fn window_ms(asked: &Asked) -> Result<u64, Refusal> {
    let window = &asked.input["FlexibleTimeWindow"];
    let minutes = &window["MaximumWindowInMinutes"];
    match window["Mode"].as_str() {
        Some("OFF") if minutes.is_null() => Ok(0),
        Some("FLEXIBLE") => {
            let minutes = minutes.as_u64().filter(|minutes| (1..=1440).contains(minutes));
            let wrong = || asked.invalid("A flexible time window has 1 to 1440 minutes, in MaximumWindowInMinutes.");
            minutes.map(|minutes| minutes * MINUTE_MS).ok_or_else(wrong)
        }
        _ => Err(asked.invalid("FlexibleTimeWindow must have the Mode OFF, or FLEXIBLE with MaximumWindowInMinutes.")),
    }
}

fn target(asked: &Asked) -> Result<Target, Refusal> {
    let said = asked.input["Target"].as_object().ok_or_else(|| asked.invalid("Target must be given"))?;
    let about: Map<String, Value> = said.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(other) = about.keys().find(|member| !OF_TARGET.contains(&member.as_str())) {
        return Err(asked.invalid(format!("mote's schedules have no setting {other:.60} of a target.")));
    }
    let input = about.get("Input").map_or(Some(""), Value::as_str);
    if input.is_none_or(|input| input.len() > INPUT_BYTES_MAX) {
        return Err(asked.invalid(format!("Input is a text of at most {INPUT_BYTES_MAX} bytes.")));
    }
    let arn = about.get("Arn").and_then(Value::as_str).unwrap_or_default();
    let wrong =
        |why| asked.invalid(format!("Provided Arn {} is not valid. Reason: {why}", json!(arn.chars().take(200).collect::<String>())));
    let (to, version) = rule::receiver(arn, &asked.account()).map_err(wrong)?;
    Ok(Target { id: "target".to_owned(), to, version, retry: None, about })
}
