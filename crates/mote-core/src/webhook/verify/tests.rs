//! Each provider's own published example, and what is one bit beside it.

use http::{HeaderName, HeaderValue};

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    pairs.iter().map(pair).collect()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// It verifies; and with another body, another secret, or one header missing, it does not.
fn check(scheme: &str, key: &str, pairs: &[(&str, &str)], body: &str, now_s: u64) -> Verified {
    let scheme: Scheme = scheme.parse().unwrap();
    let verify = |key: &str, pairs: &[(&str, &str)], body: &str, now_s: u64| {
        scheme.verify(&secret(key), &headers(pairs), body.as_bytes(), Timestamp(now_s * 1000))
    };
    let verified = verify(key, pairs, body, now_s).unwrap();
    let refused = |outcome: Result<Verified>| assert_eq!(outcome.unwrap_err().code(), Code::SignatureInvalid, "{scheme}");
    if scheme != Scheme::GitLab {
        refused(verify(key, pairs, &format!("{body} "), now_s));
    }
    let other = if scheme == Scheme::StandardWebhooks { "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned() } else { format!("{key}x") };
    refused(verify(&other, pairs, body, now_s));
    refused(verify(key, &[], body, now_s));
    let twice: Vec<_> = pairs.iter().chain(pairs).copied().collect();
    refused(scheme.verify(
        &secret(key),
        &twice.iter().fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
            all
        }),
        body.as_bytes(),
        Timestamp(now_s * 1000),
    ));
    if matches!(scheme, Scheme::StandardWebhooks | Scheme::Stripe | Scheme::Slack) {
        verify(key, pairs, body, now_s + TOLERANCE_S).unwrap();
        refused(verify(key, pairs, body, now_s + TOLERANCE_S + 1));
        refused(verify(key, pairs, body, now_s - TOLERANCE_S - 1));
    }
    verified
}

#[test]
fn standard_webhooks() {
    let pairs = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1a,x v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let verified = check("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &pairs, r#"{"test": 2432232314}"#, 1_614_265_330);
    assert_eq!(verified.once.as_deref(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
}

#[test]
fn github() {
    let pairs = [
        ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ];
    let verified = check("github", "It's a Secret to Everybody", &pairs, "Hello, World!", 0x7fff_ffff);
    assert_eq!(verified.kind.as_deref(), Some("push"));
    assert_eq!(verified.once.as_deref(), Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
}

#[test]
fn slack() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let pairs = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    check("slack", "8f742231b10e8888abcd99yyyzzz85a5", &pairs, body, 1_531_420_618);
    let asked = br#"{"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"}"#;
    assert_eq!(Scheme::Slack.handshake(asked).as_deref(), Some("3eZbrw1aB"));
    assert_eq!(Scheme::Slack.handshake(br#"{"type": "event_callback", "challenge": "x"}"#), None);
    assert_eq!(Scheme::GitHub.handshake(asked), None);
}

/// Made by the rule of its documentation: `t.body`, keyed by the whole `whsec_…`.
#[test]
fn stripe() {
    let (key, body) = ("whsec_test_secret", r#"{"id":"evt_1","object":"event"}"#);
    let signed = hex_of(key, &format!("1492774577.{body}"));
    let header = format!("t=1492774577,v1={signed},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39");
    check("stripe", key, &[("stripe-signature", header.as_str())], body, 1_492_774_577);
}

#[test]
fn gitlab() {
    let pairs =
        [("x-gitlab-token", "a token"), ("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e")];
    let verified = check("gitlab", "a token", &pairs, "{}", 1_000);
    assert_eq!(verified.kind.as_deref(), Some("Push Hook"));
}

#[test]
fn shopify_and_plain_hmac() {
    let (key, body) = ("hush", r#"{"id":820982911946154508}"#);
    let mac = hmac(key.as_bytes(), &[body.as_bytes()]).finalize().into_bytes();
    let (base64, hex) = (STANDARD.encode(mac), hex_of(key, body));
    let pairs = [("x-shopify-hmac-sha256", base64.as_str()), ("x-shopify-topic", "orders/create"), ("x-shopify-webhook-id", "b54557e4")];
    let verified = check("shopify", key, &pairs, body, 1_000);
    assert_eq!((verified.once.as_deref(), verified.kind.as_deref()), (Some("b54557e4"), Some("orders/create")));
    for signed in [base64, hex.clone(), hex.to_uppercase(), format!("sha256={hex}")] {
        check("hmac-sha256:X-Signature", key, &[("x-signature", signed.as_str())], body, 1_000);
    }
}

fn hex_of(key: &str, text: &str) -> String {
    crate::access::mac::hex(&hmac(key.as_bytes(), &[text.as_bytes()]).finalize().into_bytes())
}

#[test]
fn schemes_are_read_and_written_alike() {
    for text in ["standard-webhooks", "github", "stripe", "slack", "gitlab", "shopify", "hmac-sha256:x-signature"] {
        assert_eq!(text.parse::<Scheme>().unwrap().to_string(), text);
    }
    for bad in ["", "none", "hmac-sha256:", "hmac-sha256:a b", "md5"] {
        assert_eq!(bad.parse::<Scheme>().unwrap_err().code(), Code::ManifestInvalid, "{bad}");
    }
}

#[test]
fn what_anybody_can_sign_is_refused() {
    let hex = crate::access::mac::hex(&hmac(b"", &[b"{}"]).finalize().into_bytes());
    for (scheme, name, value) in [
        (Scheme::GitHub, "x-hub-signature-256", format!("sha256={hex}")),
        (Scheme::HmacSha256("x-signed".parse().unwrap()), "x-signed", hex),
        (Scheme::GitLab, "x-gitlab-token", String::new()),
    ] {
        for empty in ["", " \n"] {
            let error = scheme.verify(&secret(empty), &headers(&[(name, &value)]), b"{}", Timestamp(0)).unwrap_err();
            assert_eq!(error.code(), Code::SignatureInvalid, "{scheme} with the secret {empty:?}");
        }
    }
}

#[test]
fn a_stranger_is_not_told_how_the_secret_is_wrong() {
    let pairs = [("webhook-id", "a"), ("webhook-timestamp", "0"), ("webhook-signature", "v1,")];
    let error = Scheme::StandardWebhooks.verify(&secret("short"), &headers(&pairs), b"", Timestamp(0)).unwrap_err();
    assert_eq!((error.code(), error.detail()), (Code::SignatureInvalid, "nothing can be verified here yet"));
}
