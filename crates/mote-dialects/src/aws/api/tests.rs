//! Requests of the aws door, played through as the HTTP door would.

use bytes::Bytes;
use http::StatusCode;
use mote_core::access::Credential;
use mote_core::action::CallerInfo;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::Code;
use mote_core::function::Name;

use super::*;
use mote_core::access::sigv4;

const SIGNATURE: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

fn request(service: &str, host: &str, body: &'static str) -> Request {
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={SIGNATURE}"
    );
    let request = http::Request::builder().method("POST").uri("/").header("host", host).header("x-amz-date", "20260101T000000Z");
    request.header("authorization", signed).body(body.into()).unwrap()
}

fn stamp() -> Stamp {
    Stamp { id: Id(7), time: Timestamp(1), peer: "127.0.0.1".into(), origin: String::new() }
}

/// The answer, and who was asked about on the way.
fn play(request: Request, known: Result<Done, Code>) -> (Response, Option<Credential>) {
    let Parsed::Turn(mut turn) = parse(request, &stamp(), &Account::default(), Keys::Local) else { panic!("not ours") };
    let (mut asked, mut known) = (None, Some(known));
    loop {
        turn = match turn {
            Turn::Read { body, then, .. } => then(Ok(body.as_bytes().cloned().unwrap_or_else(Bytes::new))),
            Turn::Do { who: Credential::AccessKey(_), what: Action::WhoAmI, then } => then(admin().map_err(|code| Error::new(code, ""))),
            Turn::Do { who, what: Action::WhoAmI, then } => {
                asked = Some(who);
                then(known.take().expect("it is asked once").map_err(|code| Error::new(code, "told so")))
            }
            Turn::Do { what, .. } => panic!("{what:?}"),
            Turn::Pour { .. } => panic!("nothing streams here"),
            Turn::Answer(response) => return (response, asked),
        }
    }
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(response.body().as_bytes().unwrap()).unwrap()
}

fn admin() -> Result<Done, Code> {
    Ok(Done::Caller(CallerInfo { namespace: Name::default_namespace(), name: "admin".into() }))
}

#[test]
fn sts_tells_who_the_caller_is() {
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let (response, who) = play(request("sts", "127.0.0.1:4566", body), admin());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-amzn-requestid"], "00000000-0000-0000-0000-000000000007");
    assert!(text(&response).contains("<Account>000000000000</Account>"), "{}", text(&response));
    assert!(text(&response).contains("<Arn>arn:aws:iam::000000000000:user/admin</Arn>"));
    assert!(matches!(who, Some(Credential::Local { signed: Some(request) }) if request.key_id() == "test"));
    // From a name that is not this machine's, a signature has to prove it.
    let (_, who) = play(request("sts", "evil.example", body), admin());
    assert!(matches!(who, Some(Credential::Signed(_))));
    let unsigned = http::Request::post("/").header("host", "localhost").body(body.into()).unwrap();
    assert!(matches!(parse(unsigned, &stamp(), &Account::default(), Keys::Local), Parsed::NotMine(_)));
}

/// A link in a mail, or a page that lies in a bucket of this server.
#[test]
fn a_browser_needs_a_key_even_from_here() {
    let query = "Action=DeleteQueue&QueueName=q&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60";
    let signed = format!("X-Amz-SignedHeaders=host&X-Amz-Credential=t%2F20260101%2Fr%2Fsqs%2Faws4_request&X-Amz-Signature={SIGNATURE}");
    let is_local = |said: &[(&str, &str)]| {
        let mut request = http::Request::get(format!("/?{query}&{signed}")).header("host", "localhost:4566");
        for (name, value) in said {
            request = request.header(*name, *value);
        }
        let Parsed::Turn(turn) = parse(request.body("".into()).unwrap(), &stamp(), &Account::default(), Keys::Local) else { panic!() };
        // Who is not has to name a known key before its body is read.
        matches!(turn, Turn::Read { .. })
    };
    assert!(is_local(&[]) && is_local(&[("user-agent", "Boto3/1.44.5")]));
    assert!(!is_local(&[("sec-fetch-site", "none")]));
    assert!(!is_local(&[("sec-fetch-site", "same-origin")]));
    assert!(!is_local(&[("user-agent", "Mozilla/5.0 (Macintosh) Version/15.6 Safari/605.1.15")]));
}

#[test]
fn nobodys_body_is_read_before_a_known_key_is_named() {
    let Parsed::Turn(turn) = parse(request("lambda", "evil.example", "x"), &stamp(), &Account::default(), Keys::Local) else { panic!() };
    let Turn::Do { who: Credential::AccessKey(key), what: Action::WhoAmI, then } = turn else { panic!("it is read first") };
    assert_eq!(key, "test");
    let Turn::Answer(refused) = then(Err(Error::new(Code::CredentialInvalid, "nobody's key"))) else { panic!() };
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(text(&refused).contains("UnrecognizedClientException"), "{}", text(&refused));
    let unsigned = http::Request::post("/2015-03-31/functions/f/invocations").header("host", "evil.example").body("{}".into()).unwrap();
    let Parsed::Turn(Turn::Answer(refused)) = parse(unsigned, &stamp(), &Account::default(), Keys::Local) else { panic!("it goes on") };
    assert!(text(&refused).contains("MissingAuthenticationToken"), "{}", text(&refused));
    let most = |method: &str, path: &str| Service::Lambda.body_bytes_max(&method.parse().unwrap(), path) >> 20;
    assert_eq!((most("POST", "/2015-03-31/functions/"), most("PUT", "/2015-03-31/functions/f/code")), (70, 70));
    assert_eq!((most("POST", "/2018-10-31/layers/l/versions"), most("POST", "/2015-03-31/functions/f/versions")), (70, 8));
    assert_eq!(most("POST", "/2015-03-31/functions/f/invocations"), 8);
}

#[test]
fn a_role_is_a_name_and_grants_nothing() {
    let check = |body, status: StatusCode, expect: &str| {
        let (response, _) = play(request("iam", "localhost", body), admin());
        assert_eq!(response.status(), status, "{body}");
        assert!(text(&response).contains(expect), "{body}: {}", text(&response));
    };
    check("Action=CreateRole&RoleName=r1&AssumeRolePolicyDocument=%7B%7D", StatusCode::OK, "<Arn>arn:aws:iam::000000000000:role/r1</Arn>");
    check("Action=GetRole&RoleName=r1", StatusCode::OK, "<RoleName>r1</RoleName>");
    check("Action=AttachRolePolicy&RoleName=r1&PolicyArn=a", StatusCode::OK, "<AttachRolePolicyResponse ");
    check("Action=UpdateAssumeRolePolicy&RoleName=r1&PolicyDocument=%7B%7D", StatusCode::OK, "<UpdateAssumeRolePolicyResponse ");
    check("Action=CreateUser&UserName=u", StatusCode::BAD_REQUEST, "<Code>InvalidAction</Code>");
    check("Action=GetRole&RoleName=%3Cb%3E", StatusCode::BAD_REQUEST, "&quot;&lt;b&gt;&quot;");
    check("", StatusCode::BAD_REQUEST, "<Code>InvalidAction</Code>");
}

/// Tools try a role that they have made before they give it to a function.
#[test]
fn a_role_is_assumed_by_who_needs_no_key() {
    let asked = |host, role: &'static str| play(request("sts", host, role), admin()).0;
    let good = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fr1&RoleSessionName=s";
    let response = asked("localhost", good);
    assert_eq!(response.status(), StatusCode::OK);
    for expect in [
        "<Arn>arn:aws:sts::000000000000:assumed-role/r1/s</Arn>",
        "<AccessKeyId>ASIALOCAL</AccessKeyId>",
        "<Expiration>1970-01-01T01:00:00.001Z</Expiration>",
    ] {
        assert!(text(&response).contains(expect), "{}", text(&response));
    }
    let refused = asked("evil.example", good);
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(text(&refused).contains("<Code>AccessDenied</Code>"), "{}", text(&refused));
    let wrong = asked("localhost", "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2F%3Cb%3E&RoleSessionName=s");
    assert!(text(&wrong).contains("<Code>ValidationError</Code>"), "{}", text(&wrong));
}

#[test]
fn who_is_not_let_in_is_told_in_the_services_own_form() {
    let check = |service, code, expect: &str| {
        let mut asked = request(service, "localhost", "Action=GetCallerIdentity");
        if service == "sqs" {
            asked.headers_mut().insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        }
        if service == "s3" {
            *asked.uri_mut() = "/photos?notification".parse().unwrap();
        }
        let (response, _) = play(asked, Err(code));
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(text(&response).contains(expect), "{}", text(&response));
    };
    // SQS as its older clients speak, in a form.
    for service in ["sts", "iam", "sns", "sqs"] {
        check(service, Code::CredentialMissing, "<Code>MissingAuthenticationToken</Code>");
        check(service, Code::CredentialInvalid, "<Code>InvalidClientTokenId</Code>");
        check(service, Code::Forbidden, "<Code>AccessDenied</Code>");
    }
    for service in ["lambda", "events", "logs"] {
        check(service, Code::CredentialMissing, r#""__type":"MissingAuthenticationTokenException""#);
        check(service, Code::CredentialInvalid, r#""__type":"UnrecognizedClientException""#);
        check(service, Code::Forbidden, r#""__type":"AccessDeniedException""#);
    }
    check("s3", Code::CredentialMissing, "<Code>AccessDenied</Code>");
    check("s3", Code::CredentialInvalid, "<Code>InvalidAccessKeyId</Code>");
    check("s3", Code::Forbidden, "<Code>AccessDenied</Code>");
}

/// Which exception a client makes of it is in the name alone.
#[test]
fn a_signature_that_is_not_believed_is_named_as_each_protocol_does() {
    let named = |protocol, flaw| {
        let unbelieved = sigv4::Refusal { flaw, text: "because".into() };
        Refusal::of(protocol, &Error::new(Code::CredentialInvalid, "not believed").caused_by(unbelieved)).code
    };
    assert_eq!(named(Protocol::Json, sigv4::Flaw::Mismatch), "InvalidSignatureException");
    assert_eq!(named(Protocol::Query, sigv4::Flaw::Mismatch), "SignatureDoesNotMatch");
    assert_eq!(named(Protocol::Rest, sigv4::Flaw::Mismatch), "SignatureDoesNotMatch");
    assert_eq!(named(Protocol::Rest, sigv4::Flaw::Skewed), "RequestTimeTooSkewed");
    assert_eq!(named(Protocol::Query, sigv4::Flaw::UnknownKey), "InvalidClientTokenId");
}

#[test]
fn an_unsigned_request_is_known_by_its_target() {
    let check = |target: &str, expect: Option<Service>| {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(TARGET), target.parse().unwrap())]);
        assert_eq!(Service::of(None, &headers, &Uri::from_static("/")), expect, "{target}");
    };
    check("AmazonSQS.ListQueues", Some(Service::Sqs));
    check("AWSEvents.ListRules", Some(Service::Events));
    check("Logs_20140328.GetLogEvents", Some(Service::Logs));
    check("DynamoDB_20120810.GetItem", Some(Service::Unknown));
    assert_eq!(Service::of(None, &HeaderMap::new(), &Uri::from_static("/")), None);
}

#[test]
fn a_service_that_mote_does_not_have_is_named() {
    let (response, _) = play(request("dynamodb", "localhost", "{}"), admin());
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(response.headers()["x-amzn-errortype"], "NotImplemented");
    let mut asked = request("cloudformation", "localhost", "Action=DescribeStackResources&Version=2010-05-15");
    asked.headers_mut().insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap());
    let (response, _) = play(asked, admin());
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert!(text(&response).contains("<Code>NotImplemented</Code>"), "{}", text(&response));
}

#[test]
fn what_is_s3s_goes_on_to_it_untouched() {
    let mine = |request| !matches!(parse(request, &stamp(), &Account::default(), Keys::Local), Parsed::NotMine(_));
    assert!(!mine(request("s3", "localhost", "")));
    assert!(!mine(http::Request::get("/photos/a.jpg").body("".into()).unwrap()));
    // Badly signed: S3 has the words for it.
    assert!(!mine(http::Request::get("/").header("authorization", "AWS4-HMAC-SHA256 nonsense").body("".into()).unwrap()));
    assert!(mine(request("sts", "localhost", "")));
}
