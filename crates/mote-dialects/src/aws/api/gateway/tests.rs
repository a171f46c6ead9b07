//! Conversations as chalice and the AWS CLI have them, against a platform that keeps files and bindings.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::function::{Binding, Bound, HttpRoute, Name};
use mote_core::store::{ObjectInfo, ObjectList, ObjectMeta};
use serde_json::{Value, json};

use super::*;
use crate::aws::api::play::{Told, ask, play};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:";

#[derive(Default)]
struct Scene {
    files: BTreeMap<String, Bytes>,
    bound: BTreeMap<Name, Arc<Bound>>,
    /// Of what the next request is known by.
    asked: u128,
}

fn info(key: &str) -> ObjectInfo {
    let time = Timestamp(1);
    ObjectInfo { bucket: "files".into(), key: key.into(), size: 0, etag: String::new(), modified: time, meta: ObjectMeta::default() }
}

impl Scene {
    fn ask(&mut self, method: &str, path: &str, body: impl ToString) -> Told {
        let mut ask = ask(method, path, "", body.to_string());
        self.asked += 1;
        ask.stamp.id = Id(self.asked);
        ask.stamp.time = Timestamp(self.asked as u64 * 1000);
        play(answer(ask), |what| self.carry_out(what))
    }

    fn carry_out(&mut self, what: Action) -> mote_core::Result<Done> {
        match what {
            Action::KeepFile { key, body, .. } => {
                self.files.insert(key.clone(), body.as_bytes().unwrap().clone());
                Ok(Done::Stored(info(&key)))
            }
            Action::ReadFile { key, .. } => {
                let file = self.files.get(&key).cloned().ok_or_else(|| Error::new(Code::ObjectNotFound, "there is none"))?;
                Ok(Done::Object(info(&key), file.into()))
            }
            Action::DropFile { key, .. } => {
                self.files.remove(&key);
                Ok(Done::Nothing)
            }
            Action::ListFiles { query, .. } => {
                let after = query.after.unwrap_or_default();
                let mut keys: Vec<&String> = self.files.keys().filter(|key| key.starts_with(&query.prefix) && **key > after).collect();
                let next = keys.get(query.limit).and_then(|_| keys.get(query.limit - 1)).map(|key| (*key).clone());
                keys.truncate(query.limit);
                Ok(Done::Objects(ObjectList { objects: keys.into_iter().map(|key| info(key)).collect(), next, ..ObjectList::default() }))
            }
            Action::Bind { bound, .. } => {
                let name = bound.function().unwrap().name;
                if name.as_str() == "gone" {
                    return Err(Error::new(Code::FunctionNotFound, "there is no function gone"));
                }
                let bound = Arc::new(*bound);
                self.bound.insert(bound.id.clone(), bound.clone());
                Ok(Done::Bound(vec![bound]))
            }
            Action::Unbind { id, .. } => {
                self.bound.remove(&id).map(|_| Done::Nothing).ok_or_else(|| Error::new(Code::BindingNotFound, "there is none"))
            }
            Action::ListBound { after, limit, .. } => {
                let after = after.unwrap_or_default();
                Ok(Done::Bound(self.bound.values().filter(|bound| bound.id.as_str() > after.as_str()).take(limit).cloned().collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn imported(&mut self, document: &Value) -> String {
        let told = self.ask("POST", "/restapis?mode=import&endpointConfigurationTypes=EDGE", document);
        assert_eq!(told.status, 201, "{}", told.text);
        told.json()["id"].as_str().unwrap().to_owned()
    }

    fn deployed(&mut self, id: &str, stage: &str) -> Value {
        let told = self.ask("POST", &format!("/restapis/{id}/deployments"), json!({ "stageName": stage, "tracingEnabled": false }));
        assert_eq!(told.status, 201, "{}", told.text);
        told.json()
    }

    /// By the rest of each binding's id.
    fn routes(&self) -> Vec<(String, Name, Arc<HttpRoute>)> {
        let route = |bound: &Arc<Bound>| {
            let Binding::Http(route) = &bound.binding else { panic!() };
            (bound.id.as_str().split_once('.').unwrap().1.to_owned(), bound.function().unwrap().name, route.clone())
        };
        self.bound.values().map(route).collect()
    }
}

fn leads_to(function: &str) -> Value {
    let uri = format!("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{ARN}{function}/invocations");
    json!({ "x-amazon-apigateway-integration": { "type": "aws_proxy", "uri": uri, "httpMethod": "POST" } })
}

fn mock() -> Value {
    let response = json!({ "statusCode": "200", "responseParameters": { "method.response.header.Access-Control-Allow-Origin": "'*'" } });
    json!({ "x-amazon-apigateway-integration": { "type": "mock", "responses": { "default": response } } })
}

fn document(paths: Value) -> Value {
    json!({ "swagger": "2.0", "info": { "title": "shop", "version": "1.0" }, "paths": paths })
}

#[test]
fn an_api_is_imported_deployed_changed_and_taken_away() {
    let mut scene = Scene::default();
    let paths = json!({ "/": { "get": leads_to("shop-dev"), "options": mock() }, "/orders/{id}": { "put": leads_to("shop-dev") } });
    let id = scene.imported(&document(paths));
    let told = scene.ask("GET", &format!("/restapis/{id}"), "").json();
    assert_eq!((&told["name"], &told["endpointConfiguration"]["types"]), (&json!("shop"), &json!(["EDGE"])));
    assert_eq!((&told["createdDate"], &told["tags"]), (&json!(1), &json!({})));
    assert!(scene.bound.is_empty());

    let first = scene.deployed(&id, "api");
    let routes = scene.routes();
    let [(name, function, route)] = routes.as_slice() else { panic!("{routes:?}") };
    assert_eq!((name, function.as_str()), (&format!("{id}.api"), "shop-dev"));
    assert_eq!((route.path.as_str(), route.below), (format!("/execute-api/{id}/api").as_str(), true));
    assert_eq!((&route.about["stage"], &route.about["url_id"], &route.about["payload"]), (&json!("api"), &json!(id), &json!("1.0")));
    assert_eq!(route.about["routes"].as_array().unwrap().len(), 3);

    // An import alone changes nothing that answers.
    let told = scene.ask("PUT", &format!("/restapis/{id}?mode=overwrite"), document(json!({ "/": { "get": leads_to("shop-dev") } })));
    assert_eq!(told.status, 200, "{}", told.text);
    assert_eq!(scene.routes()[0].2.about["routes"].as_array().unwrap().len(), 3);
    let operations = json!({ "patchOperations": [
        { "op": "replace", "path": "/minimumCompressionSize", "value": "" },
        { "op": "replace", "path": "/endpointConfiguration/types/EDGE", "value": "REGIONAL" },
    ] });
    let told = scene.ask("PATCH", &format!("/restapis/{id}"), operations).json();
    assert_eq!((&told["endpointConfiguration"]["types"], told.get("minimumCompressionSize")), (&json!(["REGIONAL"]), None));
    let second = scene.deployed(&id, "api");
    assert_ne!(first["id"], second["id"]);
    assert_eq!(scene.routes()[0].2.about["routes"].as_array().unwrap().len(), 1);
    assert_eq!(scene.ask("GET", &format!("/restapis/{id}/deployments"), "").json()["item"].as_array().unwrap().len(), 2);

    // Back to the first one.
    let back = json!({ "patchOperations": [{ "op": "replace", "path": "/deploymentId", "value": first["id"] }] });
    assert_eq!(scene.ask("PATCH", &format!("/restapis/{id}/stages/api"), back).status, 200);
    assert_eq!(scene.routes()[0].2.about["routes"].as_array().unwrap().len(), 3);
    let refused = scene.ask("DELETE", &format!("/restapis/{id}/deployments/{}", first["id"].as_str().unwrap()), "");
    assert_eq!(refused.refusal(), (400, "BadRequestException".to_owned()));

    assert_eq!(scene.ask("GET", &format!("/restapis/{id}/authorizers"), "").json(), json!({ "item": [] }));
    assert_eq!(scene.ask("DELETE", &format!("/restapis/{id}"), "").status, 202);
    assert!(scene.bound.is_empty() && scene.files.is_empty());
    assert_eq!(scene.ask("GET", &format!("/restapis/{id}"), "").refusal(), (404, "NotFoundException".to_owned()));
    assert_eq!(scene.ask("DELETE", "/restapis/..%2f..%2fx", "").refusal(), (404, "NotFoundException".to_owned()));
}

#[test]
fn paths_of_other_functions_have_bindings_of_their_own() {
    let mut scene = Scene::default();
    let paths = json!({
        "/": { "get": leads_to("web") },
        "/about": { "get": leads_to("web") },
        "/orders": { "get": leads_to("web"), "post": leads_to("orders"), "options": mock() },
        "/files/{path+}": { "x-amazon-apigateway-any-method": leads_to("files:live") },
    });
    let id = scene.imported(&document(paths));
    scene.deployed(&id, "v1");
    let told: Vec<_> = scene.routes().into_iter().map(|(_, function, route)| (function.to_string(), route)).collect();
    let base = format!("/execute-api/{id}/v1");
    let shown: Vec<_> =
        told.iter().map(|(name, route)| (name.as_str(), route.path.strip_prefix(&base).unwrap(), route.methods.clone())).collect();
    let methods = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown,
        [
            ("web", "", vec![]),
            ("files", "/files/{*path}", vec![]),
            ("orders", "/orders", methods(&["OPTIONS", "POST"])),
            ("web", "/orders", methods(&["GET"])),
        ]
    );
    assert_eq!(told[1].1.about["base"], json!(base));
    assert_eq!(told[1].1.about["qualifier"], json!("live"));
    assert_eq!(told[3].1.about["routes"].as_array().unwrap().len(), 2);
    // What leads nowhere else any more has no binding any more.
    scene.ask("PUT", &format!("/restapis/{id}?mode=overwrite"), document(json!({ "/": { "get": leads_to("web") } })));
    scene.deployed(&id, "v1");
    assert_eq!(scene.bound.len(), 1);
    // Stages are beside one another.
    scene.deployed(&id, "v10");
    assert_eq!(scene.ask("DELETE", &format!("/restapis/{id}/stages/v1"), "").status, 202);
    assert_eq!(scene.routes().into_iter().map(|(name, ..)| name).collect::<Vec<_>>(), [format!("{id}.v10")]);
}

#[test]
fn what_cannot_be_deployed_is_refused_and_what_answers_stays() {
    let mut scene = Scene::default();
    let id = scene.imported(&document(json!({ "/": { "get": leads_to("web") } })));
    scene.deployed(&id, "api");
    for (paths, expect) in [
        (json!({ "/": { "get": leads_to("gone") } }), (404, "NotFoundException")),
        (json!({ "/": { "get": mock() } }), (400, "BadRequestException")),
        (json!({}), (400, "BadRequestException")),
        (json!({ "/": { "get": leads_to("web"), "post": leads_to("other") } }), (400, "BadRequestException")),
    ] {
        assert_eq!(scene.ask("PUT", &format!("/restapis/{id}?mode=overwrite"), document(paths.clone())).status, 200, "{paths}");
        let told = scene.ask("POST", &format!("/restapis/{id}/deployments"), json!({ "stageName": "api" }));
        assert_eq!(told.refusal(), (expect.0, expect.1.to_owned()), "{paths} {}", told.text);
        assert_eq!(scene.bound.len(), 1, "{paths}");
    }
    let refused = |scene: &mut Scene, path: &str, body: Value, expect: (u16, &str)| {
        assert_eq!(scene.ask("POST", path, body).refusal(), (expect.0, expect.1.to_owned()), "{path}");
    };
    let deployments = format!("/restapis/{id}/deployments");
    refused(&mut scene, &deployments, json!({ "stageName": "a/b" }), (400, "BadRequestException"));
    refused(&mut scene, &deployments, json!({ "stageName": "a", "canarySettings": {} }), (501, "NotImplemented"));
    refused(&mut scene, &deployments, json!({ "stageName": "a", "variables": { "a b": "c" } }), (400, "BadRequestException"));
    refused(&mut scene, "/restapis?mode=import&endpointConfigurationTypes=PRIVATE", document(json!({})), (400, "BadRequestException"));
    refused(&mut scene, "/restapis", json!({ "name": "" }), (400, "BadRequestException"));
    refused(&mut scene, "/restapis", json!({ "name": "a", "policy": "{}" }), (400, "BadRequestException"));
    refused(&mut scene, &format!("/restapis/{id}/resources/x"), json!({}), (501, "NotImplemented"));
    refused(&mut scene, "/v2/apis", json!({}), (501, "NotImplemented"));
    let patch = json!({ "patchOperations": [{ "op": "replace", "path": "/policy", "value": "{}" }] });
    assert_eq!(scene.ask("PATCH", &format!("/restapis/{id}"), patch).refusal(), (400, "BadRequestException".to_owned()));
}

#[test]
fn apis_stages_and_tags_are_listed() {
    let mut scene = Scene::default();
    let ids: Vec<String> = (0..3).map(|_| scene.imported(&document(json!({ "/a/b": { "get": leads_to("web") } })))).collect();
    let first = scene.ask("GET", "/restapis?limit=2", "").json();
    let position = first["position"].as_str().unwrap();
    let second = scene.ask("GET", &format!("/restapis?limit=2&position={position}"), "").json();
    let mut listed: Vec<&str> =
        [&first, &second].iter().flat_map(|page| page["item"].as_array().unwrap()).map(|api| api["id"].as_str().unwrap()).collect();
    listed.sort_unstable();
    let mut expect: Vec<&str> = ids.iter().map(String::as_str).collect();
    expect.sort_unstable();
    assert_eq!((listed, second.get("position")), (expect, None));

    let id = &ids[0];
    let resources = scene.ask("GET", &format!("/restapis/{id}/resources"), "").json();
    let paths: Vec<_> = resources["item"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/", "/a", "/a/b"]);
    assert!(resources["item"][2]["resourceMethods"]["GET"].is_object());

    let deployment = scene.ask("POST", &format!("/restapis/{id}/deployments"), json!({ "description": "x" })).json();
    assert!(scene.bound.is_empty());
    let stage = json!({ "stageName": "live", "deploymentId": deployment["id"], "variables": { "a": "b" } });
    let told = scene.ask("POST", &format!("/restapis/{id}/stages"), &stage);
    assert_eq!((told.status, &told.json()["variables"]), (201, &json!({ "a": "b" })));
    assert_eq!(scene.routes()[0].2.about["stage_variables"], json!({ "a": "b" }));
    assert_eq!(scene.ask("POST", &format!("/restapis/{id}/stages"), &stage).refusal().1, "ConflictException");
    let stages = scene.ask("GET", &format!("/restapis/{id}/stages"), "").json();
    assert_eq!(stages["item"][0]["stageName"], "live");

    for what in
        [format!("arn:aws:apigateway:eu-west-1::/restapis/{id}"), format!("arn:aws:apigateway:eu-west-1::/restapis/{id}/stages/live")]
    {
        let path = format!("/tags/{}", what.replace(':', "%3A").replace('/', "%2F"));
        assert_eq!(scene.ask("PUT", &path, json!({ "tags": { "team": "shop", "x": "y" } })).status, 204);
        assert_eq!(scene.ask("DELETE", &format!("{path}?tagKeys=x"), "").status, 204);
        assert_eq!(scene.ask("GET", &path, "").json(), json!({ "tags": { "team": "shop" } }));
    }
}
