//! Runtimes by the names that AWS gives them, and the variables that a function finds around it.

use std::collections::BTreeMap;

use mote_core::function::{Family, Function, Runtime};

use super::configuration;
use super::fault::Fault;
use crate::aws::{Declared, arn};

/// Where an instance sees its code.
const TASK_ROOT: &str = "/code";
const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";

/// What runs the code of a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) runtime: Runtime,
    pub(super) entry: String,
    /// The zip brings its own runtime, which asks for its calls.
    pub(super) pulls: bool,
}

/// A zip that carries AWS's own runtime client runs by that, everything else by mote's runners.
pub(super) fn way(runtime: &str, handler: &str, has: impl Fn(&str) -> bool) -> Result<Way, Fault> {
    let way = |family: Family, entry: &str, pulls| Ok(Way { runtime: family.into(), entry: entry.to_owned(), pulls });
    let version = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if has("bootstrap") || matches!(runtime, "provided" | "provided.al2" | "provided.al2023") {
        if !has("bootstrap") {
            return Err(Fault::invalid(format!("The runtime {runtime} runs the file bootstrap at the root of the zip, which has none")));
        }
        return way(Family::Executable, "bootstrap", true);
    }
    if runtime.strip_prefix("python").is_some_and(version) {
        return way(Family::Python, handler, has("awslambdaric/__main__.py"));
    }
    if runtime.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")).is_some_and(version) {
        return way(Family::Node, handler, has("node_modules/aws-lambda-ric/package.json"));
    }
    if runtime.strip_prefix("java").is_some_and(|rest| version(rest.trim_end_matches(".al2"))) {
        return way(Family::Java, handler, true);
    }
    if ["ruby", "dotnet", "go1."].iter().any(|family| runtime.starts_with(family)) {
        let why = "mote has no managed runtime of that family; a zip with an executable `bootstrap` runs as provided.al2023";
        return Err(Fault::invalid(format!("The runtime {runtime} is not supported: {why}")));
    }
    let shown: String = runtime.chars().take(100).collect();
    Err(Fault::invalid(format!(
        "Value {shown} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [python3.x, nodejsNN.x, javaNN, provided, \
         provided.al2, provided.al2023] or be a valid ARN"
    )))
}

/// See [`crate::aws::declared`].
pub(in crate::aws) fn declared(runtime: &str, handler: &str, has: impl Fn(&str) -> bool) -> Result<Declared, String> {
    let way = way(runtime, handler, has).map_err(|fault| fault.message)?;
    let about = [("Runtime", runtime), ("Handler", handler)].map(|(name, value)| (name.to_owned(), value.into()));
    Ok(Declared { runtime: way.runtime, entry: way.entry, pulls: way.pulls, about: about.into_iter().collect() })
}

/// The name of the log stream as the version's code was told it.
pub(in crate::aws::api) fn log_stream(function: &Function) -> String {
    function.contract_env.get(LOG_STREAM).cloned().unwrap_or_else(|| made_log_stream(function))
}

fn made_log_stream(function: &Function) -> String {
    let day = function.created.rfc3339().get(..10).unwrap_or_default().replace('-', "/");
    format!("{day}/[{}]{:032x}", arn::version(function), function.id.0)
}

/// What AWS promises to every function's code.
pub(in crate::aws) fn environment(function: &Function) -> BTreeMap<String, String> {
    let region = arn::region_of(function);
    let version = arn::version(function);
    let log_stream = made_log_stream(function);
    let logging = function.about.get("LoggingConfig");
    let logging = |name: &str| logging.and_then(|logging| logging.get(name)?.as_str()).map(str::to_owned);
    let handler = function.about.get("Handler").and_then(serde_json::Value::as_str).unwrap_or(&function.entry);
    let mut env: BTreeMap<String, String> = [
        ("_HANDLER", handler.to_owned()),
        ("LAMBDA_TASK_ROOT", TASK_ROOT.to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", configuration::runtime(function))),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", version),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", (function.limits.memory_bytes >> 20).to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", configuration::log_group(function)),
        (LOG_STREAM, log_stream),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_SESSION_TOKEN", "function".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("LD_LIBRARY_PATH", format!("{TASK_ROOT}:{TASK_ROOT}/lib")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if function.about.contains_key("Layers") {
        let seen = [
            ("LD_LIBRARY_PATH", format!("{TASK_ROOT}:{TASK_ROOT}/lib:/opt/lib")),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin".to_owned()),
            ("NODE_PATH", "/opt/nodejs/node_modules".to_owned()),
        ];
        env.extend(seen.map(|(name, value)| (name.to_owned(), value)));
        if function.pulls {
            env.insert("PYTHONPATH".into(), "/opt/python".into());
        }
    }
    if let Some(format) = logging("LogFormat") {
        env.insert("AWS_LAMBDA_LOG_FORMAT".into(), format);
    }
    if let Some(level) = logging("ApplicationLogLevel") {
        env.insert("AWS_LAMBDA_LOG_LEVEL".into(), level);
    }
    env
}

/// The line in the log of an instance before its code is loaded. AWS has a revision behind the
/// runtime's version, mote has none.
pub(in crate::aws) fn log_starting(function: &Function) -> String {
    let (region, runtime) = (arn::region_of(function), configuration::runtime(function));
    let arn = configuration::runtime_arn(arn::partition(region), region, &runtime);
    let named = runtime.trim_end_matches(".x");
    let (family, version) = named.split_at(named.find(|letter: char| letter == '.' || letter.is_ascii_digit()).unwrap_or(named.len()));
    format!("INIT_START Runtime Version: {family}:{}\tRuntime Version ARN: {arn}", version.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_a_known_family_runs() {
        let check = |runtime: &str, files: &[&str], family: Family, entry: &str, pulls: bool| {
            let found = way(runtime, "app.handler", |file| files.contains(&file)).unwrap();
            assert_eq!(found, Way { runtime: family.into(), entry: entry.into(), pulls }, "{runtime}");
        };
        check("python3.8", &["app.py"], Family::Python, "app.handler", false);
        check("python3.14", &["awslambdaric/__main__.py"], Family::Python, "app.handler", true);
        check("nodejs22.x", &["app.mjs"], Family::Node, "app.handler", false);
        check("nodejs20.x", &["node_modules/aws-lambda-ric/package.json"], Family::Node, "app.handler", true);
        check("provided.al2023", &["bootstrap"], Family::Executable, "bootstrap", true);
        check("java21", &[], Family::Java, "app.handler", true);
        check("java8.al2", &[], Family::Java, "app.handler", true);
        check("python3.12", &["bootstrap"], Family::Executable, "bootstrap", true);
    }

    #[test]
    fn a_runtime_that_mote_has_not_is_refused_with_the_reason() {
        for runtime in ["ruby3.3", "dotnet8", "javascript", "java", "python", "pythonx", "nodejs20", "provided.al2023", "cobol", ""] {
            assert_eq!(way(runtime, "h", |_| false).unwrap_err().kind, "InvalidParameterValueException", "{runtime}");
        }
    }

    #[test]
    fn a_start_is_told_with_its_runtime() {
        let check = |runtime: &str, named: &str| {
            let mut function = mote_testkit::function("f");
            function.about.insert("Runtime".into(), runtime.into());
            let expect = format!("INIT_START Runtime Version: {named}\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:");
            let line = log_starting(&function);
            assert!(line.strip_prefix(&expect).is_some_and(|hash| hash.len() == 64), "{line}");
        };
        check("python3.12", "python:3.12");
        check("nodejs22.x", "nodejs:22");
        check("provided.al2023", "provided:al2023");
        check("java21", "java:21");
    }

    #[test]
    fn the_environment_is_the_promised_one() {
        let mut function = Function { version: Function::DRAFT, ..mote_testkit::function("f") };
        function.about.insert("Runtime".into(), "python3.11".into());
        function.about.insert("Handler".into(), "app.handler".into());
        function.about.insert("region".into(), "eu-west-1".into());
        let env = environment(&function);
        let check = |name: &str, expect: &str| assert_eq!(env[name], expect, "{name}");
        check("_HANDLER", "app.handler");
        check("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11");
        check("AWS_REGION", "eu-west-1");
        check("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        check("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
        check("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f");
        check("AWS_LAMBDA_LOG_STREAM_NAME", "1970/01/01/[$LATEST]00000000000000000000000000000001");
        check("TZ", ":UTC");
        assert!(!env.contains_key("_X_AMZN_TRACE_ID") && !env.contains_key("_LAMBDA_SERVER_PORT"));
    }
}
