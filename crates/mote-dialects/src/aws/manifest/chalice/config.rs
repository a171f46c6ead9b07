//! `.chalice/config.json`: what is said of all functions, of a stage, and of one function.

use serde_json::Value;

use super::super::finding::{Findings, Outcome};
use super::super::template::wanted;
use super::super::yaml::{Key, Node, Place};

pub(super) const STAGE: &str = "dev";
/// Where whoever deploys says another.
pub(super) const STAGE_PARAMETER: &str = "stage";

const RIGHTS: &str = "rights are those of mote's tokens, and a function reaches what its namespace holds";
const NO_ADDRESS: &str = "routes are on mote's public door";
const AROUND: [&str; 4] = ["version", "app_name", "stages", "region"];
const KNOWN: [&str; 9] = [
    "api_gateway_stage",
    "environment_variables",
    "lambda_functions",
    "lambda_memory_size",
    "lambda_timeout",
    "lambda_ephemeral_storage",
    "lambda_architecture",
    "reserved_concurrency",
    "websocket_api_stage",
];
const SILENT: [(&str, &str); 15] = [
    ("manage_iam_role", RIGHTS),
    ("iam_role_arn", RIGHTS),
    ("iam_policy_file", RIGHTS),
    ("autogen_policy", RIGHTS),
    ("autogen_policy_file", RIGHTS),
    ("tags", "mote keeps none of a manifest"),
    ("xray", "every call has a trace"),
    ("log_retention_in_days", "logs are kept as all logs are"),
    ("minimum_compression_size", "mote has no gateway before its functions"),
    ("api_gateway_endpoint_type", NO_ADDRESS),
    ("api_gateway_custom_domain", NO_ADDRESS),
    ("websocket_api_custom_domain", NO_ADDRESS),
    ("automatic_layer", "a function has what it needs with it"),
    ("profile", "there is no account"),
    ("lambda_python_version", "a function runs by this host's Python"),
];

/// See the module's text.
pub(super) struct Config<'a> {
    root: &'a Node,
    pub(super) stage: &'a str,
}

impl<'a> Config<'a> {
    /// `said`: the stage that whoever deploys names.
    pub(super) fn read(root: &'a Node, said: Option<&'a str>, found: &mut Findings) -> Config<'a> {
        let config = Config { root, stage: said.unwrap_or(STAGE) };
        expect(root, true, found);
        for (_, stage) in root.get("stages").and_then(Node::entries).unwrap_or_default() {
            expect(stage, false, found);
        }
        for node in [Some(root), config.of_stage()].into_iter().flatten() {
            for (_, function) in node.get("lambda_functions").and_then(Node::entries).unwrap_or_default() {
                expect(function, false, found);
            }
        }
        if said.is_some() && config.of_stage().is_none() {
            found.wrong(root.at, format!("there is no stage {:.40} among `stages`", config.stage));
        }
        config
    }

    fn of_stage(&self) -> Option<&'a Node> {
        self.root.get("stages")?.get(self.stage)
    }

    pub(super) fn name(&self) -> Outcome<&'a str> {
        let name = self.root.get("app_name").and_then(Node::as_text);
        name.ok_or_else(|| super::super::finding::Finding::new(self.root.at, "app_name is missing"))
    }

    /// What is nearest to the function.
    pub(super) fn get(&self, name: &str, function: &str) -> Option<&'a Node> {
        let of = |node: Option<&'a Node>| node?.get("lambda_functions")?.get(function);
        let stage = self.of_stage();
        let all = [of(stage), stage, of(Some(self.root)), Some(self.root)];
        all.into_iter().flatten().find_map(|node| node.get(name).filter(|node| !node.is_null()))
    }

    pub(super) fn text(&self, name: &str, function: &str) -> Outcome<Option<(Place, &'a str)>> {
        let Some(node) = self.get(name, function) else { return Ok(None) };
        Ok(Some((node.at, node.as_text().ok_or_else(|| wanted(node, "a text"))?)))
    }

    pub(super) fn whole(&self, name: &str, function: &str) -> Outcome<Option<(Place, u64)>> {
        let Some(node) = self.get(name, function) else { return Ok(None) };
        Ok(Some((node.at, node.whole().ok_or_else(|| wanted(node, "a number"))?)))
    }

    /// Of all, of the stage and of the function, of which the later goes before.
    pub(super) fn environment(&self, function: &str) -> Outcome<Vec<(&'a Key, String)>> {
        let stage = self.of_stage();
        let of = stage.and_then(|stage| stage.get("lambda_functions")?.get(function));
        let mut all = Vec::new();
        for node in [Some(self.root), stage, of].into_iter().flatten().filter_map(|node| node.get("environment_variables")) {
            for (key, value) in node.entries().ok_or_else(|| wanted(node, "a map"))? {
                let text = match value.json() {
                    Value::String(text) => text,
                    Value::Number(_) | Value::Bool(_) => value.as_text().unwrap_or_default().to_owned(),
                    _ => return Err(wanted(value, "a text")),
                };
                all.push((key, text));
            }
        }
        Ok(all)
    }
}

fn expect(node: &Node, is_root: bool, found: &mut Findings) {
    for (key, value) in node.entries().unwrap_or_default() {
        let name = &*key.text;
        if value.is_null() || KNOWN.contains(&name) || (is_root && AROUND.contains(&name)) {
            continue;
        }
        match SILENT.iter().find(|(other, _)| *other == name) {
            // It would let in whom AWS would not.
            Some(_) if name == "api_gateway_endpoint_type" && value.as_text() == Some("PRIVATE") => {
                found.wrong(key.at, "a private API is reached from a VPC alone, and mote has none");
            }
            Some((_, why)) => found.note(key.at, format!("{name} has no effect: {why}")),
            None => found.wrong(key.at, format!("mote does not honour {name}")),
        }
    }
}
