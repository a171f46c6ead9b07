//! A function's URLs: made, changed, listed and taken away, and the routes that they are.

use mote_core::function::{Binding, HttpRoute, UrlAccess};

use super::*;

const URL: &str = "/2021-10-31/functions/f/url";

fn route(scene: &Scene) -> HttpRoute {
    let Binding::Http(route) = &scene.bound.values().next().unwrap().binding else { panic!("not a route") };
    (**route).clone()
}

#[test]
fn a_url_is_made_looked_at_changed_and_taken_away() {
    let mut scene = Scene::there();
    let cors = json!({"AllowCredentials": true, "AllowHeaders": ["date"], "AllowMethods": ["*"], "AllowOrigins": ["*"], "MaxAge": 86400});
    let made = scene.ask("POST", URL, json!({"AuthType": "AWS_IAM", "Cors": cors}));
    assert_eq!(made.status, 201, "{}", made.text);
    let told = made.json();
    assert_eq!((&told["AuthType"], &told["InvokeMode"], &told["Cors"]), (&json!("AWS_IAM"), &json!("BUFFERED"), &cors));
    assert_eq!(told["FunctionArn"], "arn:aws:lambda:eu-west-1:123456789012:function:f");
    let address = told["FunctionUrl"].as_str().unwrap().to_owned();
    let id = address.strip_prefix("http://127.0.0.1:8080/lambda-url/").and_then(|rest| rest.strip_suffix('/')).unwrap();
    assert_eq!(scene.ask("POST", URL, json!({"AuthType": "NONE"})).header("x-amzn-errortype"), "ResourceConflictException");

    let closed = route(&scene);
    assert_eq!((closed.path, closed.below, closed.access), (format!("/lambda-url/{id}"), true, Some(UrlAccess::Token)));
    assert_eq!(Value::from(closed.about), json!({"payload": "url", "url_id": id, "buffered": true}));
    let rules = closed.cors.unwrap();
    assert_eq!((rules.origins, rules.methods, rules.credentials, rules.max_age_s), (vec!["*".into()], vec!["*".into()], true, 86400));

    let changed =
        scene.ask("PUT", URL, json!({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", "Cors": {"AllowCredentials": false}})).json();
    assert_eq!((&changed["Cors"], &changed["FunctionUrl"]), (&json!({"AllowCredentials": false}), &json!(address)));
    assert_eq!(changed["CreationTime"], told["CreationTime"]);
    let open = route(&scene);
    assert_eq!((open.access, open.cors, open.about.get("buffered")), (Some(UrlAccess::Public), None, None));
    assert_eq!(scene.ask("GET", URL, "").json(), changed);

    // Methods and headers that nobody names are let in only as far as a browser asks nobody about them.
    scene.ask("PUT", URL, json!({"Cors": {"AllowOrigins": ["https://page.example"], "AllowMethods": []}}));
    let rules = route(&scene).cors.unwrap();
    assert_eq!((rules.methods, rules.headers), (vec!["GET".to_owned(), "HEAD".into(), "POST".into()], vec!["accept".to_owned()]));

    assert_eq!(scene.ask("DELETE", URL, "").status, 204);
    for method in ["GET", "DELETE", "PUT"] {
        assert_eq!(scene.ask(method, URL, "{}").header("x-amzn-errortype"), "ResourceNotFoundException", "{method}");
    }
}

#[test]
fn an_alias_has_a_url_of_its_own() {
    let mut scene = Scene::there();
    let own = scene.ask("POST", URL, json!({"AuthType": "NONE"})).json();
    let stable = scene.ask("POST", &format!("{URL}?Qualifier=stable"), json!({"AuthType": "NONE"})).json();
    assert_ne!(own["FunctionUrl"], stable["FunctionUrl"]);
    assert_eq!(stable["FunctionArn"], "arn:aws:lambda:eu-west-1:123456789012:function:f:stable");
    let bound = scene.bound.values().find(|bound| !bound.qualifier.is_live()).unwrap();
    assert_eq!(bound.qualifier, Qualifier::Alias(Name::new("stable").unwrap()));
    for wrong in ["7", "$LATEST"] {
        let told = scene.ask("POST", &format!("{URL}?Qualifier={wrong}"), json!({"AuthType": "NONE"}));
        assert_eq!((told.status, told.header("x-amzn-errortype")), (400, "ValidationException"), "{wrong}");
    }
    let page = scene.ask("GET", "/2021-10-31/functions/f/urls?MaxItems=1", "").json();
    let next = page["NextMarker"].as_str().unwrap();
    let rest = scene.ask("GET", &format!("/2021-10-31/functions/f/urls?Marker={next}"), "").json();
    let mut all: Vec<Value> =
        [page.clone(), rest.clone()].iter().flat_map(|page| page["FunctionUrlConfigs"].as_array().unwrap().clone()).collect();
    all.sort_by_key(|config| config["FunctionArn"].to_string().len());
    assert_eq!((all, rest.get("NextMarker")), (vec![own, stable], None));
}

#[test]
fn a_wish_for_a_url_is_checked() {
    let check = |wish: Value| {
        let told = Scene::there().ask("POST", URL, wish.clone());
        assert_eq!((told.status, told.header("x-amzn-errortype")), (400, "ValidationException"), "{wish}: {}", told.text);
    };
    check(json!({}));
    check(json!({"AuthType": "OPEN"}));
    check(json!({"AuthType": "NONE", "InvokeMode": "STREAM"}));
    check(json!({"AuthType": "NONE", "Cors": {"MaxAge": 86_401}}));
    check(json!({"AuthType": "NONE", "Cors": {"AllowOrigins": [""]}}));
    check(json!({"AuthType": "NONE", "Cors": {"AllowHeaders": ["a\nb"]}}));
    check(json!({"AuthType": "NONE", "Cors": {"AllowMethods": vec!["GET"; 101]}}));
    assert_eq!(Scene::default().ask("POST", URL, json!({"AuthType": "NONE"})).header("x-amzn-errortype"), "ResourceNotFoundException");
}
