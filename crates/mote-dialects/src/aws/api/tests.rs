//! Requests of the aws door, played through as the HTTP door would.

use bytes::Bytes;
use http::StatusCode;
use mote_core::access::Credential;
use mote_core::action::CallerInfo;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::Code;
use mote_core::function::Name;

use super::*;

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
            Turn::Do { who, what: Action::WhoAmI, then } => {
                asked = Some(who);
                then(known.take().expect("it is asked once").map_err(|code| Error::new(code, "told so")))
            }
            Turn::Do { what, .. } => panic!("{what:?}"),
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
    check("Action=CreateUser&UserName=u", StatusCode::BAD_REQUEST, "<Code>InvalidAction</Code>");
    check("Action=GetRole&RoleName=%3Cb%3E", StatusCode::BAD_REQUEST, "&quot;&lt;b&gt;&quot;");
    check("", StatusCode::BAD_REQUEST, "<Code>InvalidAction</Code>");
}

#[test]
fn who_is_not_let_in_is_told_in_the_services_own_form() {
    let check = |code, expect: &str| {
        let (response, _) = play(request("sts", "localhost", "Action=GetCallerIdentity"), Err(code));
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(text(&response).contains(expect), "{}", text(&response));
    };
    check(Code::CredentialMissing, "<Code>MissingAuthenticationToken</Code>");
    check(Code::CredentialInvalid, "<Code>UnrecognizedClientException</Code>");
    check(Code::Forbidden, "<Code>AccessDeniedException</Code>");
}

#[test]
fn a_service_that_mote_does_not_have_is_named() {
    let (response, _) = play(request("dynamodb", "localhost", "{}"), admin());
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(response.headers()["x-amzn-errortype"], "NotImplemented");
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
