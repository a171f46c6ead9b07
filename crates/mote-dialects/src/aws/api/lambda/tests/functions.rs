//! Functions made, looked at, changed and taken away.

use super::*;

#[test]
fn a_new_function_has_the_services_defaults() {
    let mut scene = Scene::default();
    let told = scene.ask("POST", FUNCTIONS, create(json!({})));
    assert_eq!(told.status, 201, "{}", told.text);
    assert_eq!(told.header("x-amzn-requestid"), ID);
    let told = told.json();
    let expect = json!({
        "FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f", "Runtime": "python3.12", "Role": ROLE,
        "Handler": "app.handler", "Description": "", "Timeout": 3, "MemorySize": 128, "EphemeralStorage": {"Size": 512},
        "Architectures": ["x86_64"], "PackageType": "Zip", "TracingConfig": {"Mode": "PassThrough"}, "Version": "$LATEST",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}, "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
    });
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(told[name], *value, "{name}");
    }
    assert_eq!(told["CodeSize"], listing(FILES).len());
    assert_eq!(BASE64.decode(told["CodeSha256"].as_str().unwrap()).unwrap().len(), 32);
    assert_eq!(told["LastModified"], "1970-01-01T00:00:00.000+0000");
    let deployed = scene.deployed.unwrap();
    assert_eq!((deployed.runtime.family, deployed.entry.as_str(), deployed.pulls), (Family::Python, "app.handler", false));
    assert!(!deployed.preparing.installs && !deployed.preparing.starts && !deployed.http.url);
    assert_eq!(deployed.delivery.retry.attempts_max, 3);
}

#[test]
fn what_a_client_says_is_kept_and_told() {
    let mut scene = Scene::default();
    let wish = json!({
        "Timeout": 60, "MemorySize": 256, "EphemeralStorage": {"Size": 1024}, "Description": "d", "Tags": {"team": "a"},
        "Environment": {"Variables": {"MODE": "x"}}, "Architectures": ["arm64"], "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON"}, "Unknown": {"to": "us"},
    });
    let created = scene.ask("POST", "/2015-03-31/functions/", create(wish));
    assert_eq!(created.status, 201, "{}", created.text);
    let told = scene.ask("GET", &format!("{FUNCTIONS}/f"), "").json();
    let configuration = &told["Configuration"];
    for (name, value) in json!({
        "Timeout": 60, "MemorySize": 256, "EphemeralStorage": {"Size": 1024}, "Description": "d", "State": "Active",
        "Environment": {"Variables": {"MODE": "x"}}, "Architectures": ["arm64"], "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/aws/lambda/f", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"},
        "LastUpdateStatus": "Successful",
    })
    .as_object()
    .unwrap()
    {
        assert_eq!(configuration[name], *value, "{name}");
    }
    assert_eq!(told["Tags"], json!({"team": "a"}));
    let tags = scene.ask("GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af", "").json();
    assert_eq!(tags, json!({"Tags": {"team": "a"}}));
    let limits = scene.deployed.unwrap().limits;
    assert_eq!((limits.timeout_ms, limits.memory_bytes, limits.tmp_bytes), (60_000, 256 << 20, 1 << 30));
}

#[test]
fn code_comes_from_a_bucket_too() {
    let code = json!({"Code": {"S3Bucket": "b", "S3Key": "k"}});
    let mut scene = Scene { object: Some(listing(&["bootstrap"])), ..Scene::default() };
    let told = scene.ask("POST", FUNCTIONS, create(code.clone()));
    assert_eq!(told.status, 201, "{}", told.text);
    assert!(scene.deployed.unwrap().pulls);
    let told = Scene::default().ask("POST", FUNCTIONS, create(code));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (400, "InvalidParameterValueException"));
    let message = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.";
    assert_eq!(told.json()["message"], message);
}

#[test]
fn a_wish_that_cannot_be_met_makes_nothing() {
    let check = |change: Value, status: u16, kind: &str| {
        let mut scene = Scene::default();
        let told = scene.ask("POST", FUNCTIONS, create(change.clone()));
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{change}: {}", told.text);
        assert!(scene.deployed.is_none());
    };
    check(json!({"FunctionName": "a b"}), 400, "ValidationException");
    check(json!({"FunctionName": "arn:aws:lambda:eu-west-1:999999999999:function:f"}), 404, "ResourceNotFoundException");
    check(json!({"Timeout": 901}), 400, "ValidationException");
    check(json!({"Timeout": "x"}), 400, "SerializationException");
    check(json!({"Role": "r"}), 400, "ValidationException");
    check(json!({"Runtime": "ruby3.3"}), 400, "InvalidParameterValueException");
    check(json!({"Handler": null}), 400, "InvalidParameterValueException");
    check(json!({"Code": {}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": "%"}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": BASE64.encode("no zip")}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": zip(), "S3Bucket": "b"}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ImageUri": "i"}, "PackageType": "Image"}), 501, "NotImplementedException");
    check(json!({"Layers": ["arn"]}), 400, "ValidationException");
    let layer = |name: &str, number: u32| format!("arn:aws:lambda:eu-west-1:123456789012:layer:{name}:{number}");
    check(json!({"Layers": [layer("a", 1), layer("a", 2)]}), 400, "InvalidParameterValueException");
    let six = ["a", "b", "c", "d", "e", "f"].map(|name| layer(name, 1));
    check(json!({ "Layers": six }), 400, "InvalidParameterValueException");
    check(json!({"Layers": ["arn:aws:lambda:eu-west-1:999999999999:layer:a:1"]}), 400, "InvalidParameterValueException");
    let told = Scene::there().ask("POST", FUNCTIONS, create(json!({})));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (409, "ResourceConflictException"));
    assert_eq!(told.json()["message"], "Function already exist: f");
}

#[test]
fn a_function_is_found_by_all_its_addresses() {
    for name in [
        "f",
        "f/",
        "f:$LATEST",
        "f?Qualifier=$LATEST",
        "123456789012:function:f",
        "arn:aws:lambda:eu-west-1:123456789012:function:f",
        "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af",
    ] {
        let told = Scene::there().ask("GET", &format!("{FUNCTIONS}/{name}"), "");
        assert_eq!(told.status, 200, "{name}: {}", told.text);
    }
    let check = |name: &str, arn: &str| {
        let told = Scene::there().ask("GET", &format!("{FUNCTIONS}/{name}"), "");
        assert_eq!((told.status, told.header("x-amzn-errortype")), (404, "ResourceNotFoundException"), "{name}");
        assert_eq!(told.json(), json!({"Type": "User", "Message": format!("Function not found: {arn}")}));
    };
    check("f:7", "arn:aws:lambda:eu-west-1:123456789012:function:f:7");
    check("f?Qualifier=live", "arn:aws:lambda:eu-west-1:123456789012:function:f:live");
    check("999999999999:function:f", "arn:aws:lambda:eu-west-1:999999999999:function:f");
    let told = Scene::default().ask("GET", &format!("{FUNCTIONS}/f/configuration"), "");
    assert_eq!(told.json()["Message"], "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:f");
}

#[test]
fn a_list_goes_on_at_its_marker() {
    let mut scene = Scene::default();
    let names = |told: &Value| told["Functions"].as_array().unwrap().iter().map(|f| f["FunctionName"].clone()).collect::<Vec<_>>();
    let first = scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=2"), "").json();
    assert_eq!((names(&first), &first["NextMarker"]), (vec![json!("a"), json!("b")], &json!("b")));
    let second = scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=2&Marker=b"), "").json();
    assert_eq!((names(&second), second.get("NextMarker")), (vec![json!("c")], None));
    assert_eq!(scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=0"), "").status, 400);
    let usage = scene.ask("GET", "/2016-08-19/account-settings", "").json();
    assert_eq!(usage["AccountUsage"]["FunctionCount"], 3);
}

#[test]
fn new_code_keeps_the_rest() {
    let mut scene = Scene::with(|function| {
        function.limits.timeout_ms = 9000;
        function.env.insert("MODE".into(), "x".into());
    });
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip() }));
    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!((&told["LastUpdateStatus"], &told["Timeout"]), (&json!("InProgress"), &json!(9)));
    let deployed = scene.deployed.take().unwrap();
    assert_eq!((deployed.entry.as_str(), deployed.env["MODE"].as_str()), ("app.handler", "x"));
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip(), "RevisionId": "other" }));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (412, "PreconditionFailedException"));
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip(), "DryRun": true }));
    assert_eq!(told.status, 200);
    assert!(scene.deployed.is_none());
    // One that was not made by this API has a manifest of its own.
    let told =
        Scene::with(|function| function.dialect = "plain".into()).ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip() }));
    assert_eq!(told.status, 400, "{}", told.text);
}

#[test]
fn a_configuration_changes_what_is_said_and_leaves_the_rest() {
    let mut scene = Scene::with(|function| {
        function.limits.timeout_ms = 9000;
        function.env.insert("MODE".into(), "x".into());
    });
    let path = format!("{FUNCTIONS}/f/configuration");
    let told = scene.ask("PUT", &path, json!({ "MemorySize": 256, "Handler": "app.other", "Runtime": "python3.13" }));
    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!((&told["LastUpdateStatus"], &told["Timeout"], &told["MemorySize"]), (&json!("InProgress"), &json!(9), &json!(256)));
    assert_eq!((&told["Handler"], &told["Runtime"]), (&json!("app.other"), &json!("python3.13")));
    let deployed = scene.deployed.take().unwrap();
    assert_eq!((deployed.entry.as_str(), deployed.env["MODE"].as_str()), ("app.other", "x"));
    for (wish, status) in [
        (json!({ "Timeout": 901 }), 400),
        (json!({ "Runtime": "nodejs22.x" }), 400),
        (json!({ "Layers": ["arn"] }), 400),
        (json!({ "RevisionId": "other" }), 412),
    ] {
        assert_eq!(scene.ask("PUT", &path, &wish).status, status, "{wish}");
        assert!(scene.deployed.is_none(), "{wish}");
    }
}

#[test]
fn a_function_goes_away_once() {
    let mut scene = Scene::there();
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f?Qualifier=$LATEST"), "").status, 400);
    assert!(!scene.removed);
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f"), "").status, 200);
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f"), "").status, 404);
}
