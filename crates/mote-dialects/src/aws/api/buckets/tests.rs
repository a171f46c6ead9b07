//! Notifications put, told and replaced, against a platform that keeps bindings.

use std::collections::BTreeMap;

use mote_core::action::{Action, Done};
use mote_core::clock::Timestamp;
use mote_core::function::ObjectChange;
use mote_core::store::BucketInfo;

use super::super::play::{self, Told, play};
use super::*;

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:thumb";

/// A platform with the bucket `photos` and the function `thumb`.
#[derive(Default)]
struct House {
    bound: BTreeMap<Name, Arc<Bound>>,
    /// In the order in which they were done.
    did: Vec<&'static str>,
}

impl House {
    fn execute(&mut self, what: Action) -> Result<Done, Error> {
        match what {
            Action::ListBuckets { .. } => {
                Ok(Done::Buckets(vec![BucketInfo { name: "photos".into(), created: Timestamp(0), tags: Default::default() }]))
            }
            Action::ListBound { .. } => Ok(Done::Bound(self.bound.values().cloned().collect())),
            Action::Bind { bound, .. } if matches!(&bound.to, Destination::Function(name) if name.as_str() != "thumb") => {
                Err(Error::new(Code::FunctionNotFound, "there is no such function"))
            }
            Action::Bind { bound, .. } if matches!(&bound.to, Destination::Queue(name) if name.as_str() != "q") => {
                Err(Error::new(Code::QueueNotFound, "there is no such queue"))
            }
            Action::SendMessages { .. } | Action::Publish { .. } => {
                self.did.push("test");
                Ok(Done::Nothing)
            }
            Action::Bind { bound, .. } => {
                self.did.push("bind");
                self.bound.insert(bound.id.clone(), Arc::new(*bound));
                Ok(Done::Nothing)
            }
            Action::Unbind { id, .. } => {
                self.did.push("unbind");
                self.bound.remove(&id).map(|_| Done::Nothing).ok_or_else(|| Error::new(Code::BindingNotFound, "there is none"))
            }
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, method: &str, bucket: &str, body: &str) -> Told {
        let ask = play::ask(method, &format!("/{bucket}?notification"), "", body.to_owned());
        play(answer(ask), |what| self.execute(what))
    }

    fn put(&mut self, inside: &str) -> Told {
        self.ask("PUT", "photos", &format!("<NotificationConfiguration xmlns=\"{XMLNS}\">{inside}</NotificationConfiguration>"))
    }
}

fn one(id: &str, function: &str, event: &str, rules: &[(&str, &str)]) -> String {
    let rules: String =
        rules.iter().map(|(name, value)| format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")).collect();
    format!(
        "<CloudFunctionConfiguration><Id>{id}</Id><CloudFunction>{function}</CloudFunction><Event>{event}</Event>\
         <Filter><S3Key>{rules}</S3Key></Filter></CloudFunctionConfiguration>"
    )
}

#[test]
fn what_is_put_is_bound_and_told_again() {
    let mut house = House::default();
    let told = house.put(&one("thumbs", FUNCTION, "s3:ObjectCreated:*", &[("suffix", ".jpg"), ("Prefix", "a&amp;b/")]));
    assert_eq!((told.status, told.text.as_str()), (200, ""));
    let bound = house.bound.values().next().unwrap();
    let Binding::Bucket { bucket, events, prefix, suffix, .. } = &bound.binding else { panic!("{bound:?}") };
    assert_eq!((bucket.as_str(), prefix.as_str(), suffix.as_str()), ("photos", "a&b/", ".jpg"));
    assert_eq!((events.as_slice(), bound.label.as_deref()), (&[ObjectChange::Created][..], Some("thumbs")));
    let told = house.ask("GET", "photos", "");
    assert_eq!(told.status, 200);
    for part in ["<Id>thumbs</Id>", FUNCTION, "<Event>s3:ObjectCreated:*</Event>", "<Name>Prefix</Name><Value>a&amp;b/</Value>"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    // What is told can be put again, and changes nothing.
    house.did.clear();
    assert_eq!(house.ask("PUT", "photos", &told.text).status, 200);
    assert_eq!(house.did, Vec::<&str>::new());
}

#[test]
fn queues_topics_and_eventbridge_are_told_too() {
    let mut house = House::default();
    let queue = "<QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:eu-west-1:123456789012:q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration>";
    let topic = "<TopicConfiguration><Id>t</Id><Topic>arn:aws:sns:eu-west-1:123456789012:t</Topic><Event>s3:ObjectRemoved:*</Event></TopicConfiguration>";
    let bridge = "<EventBridgeConfiguration/>";
    let told = house.put(&format!("{queue}{topic}{bridge}"));
    assert_eq!((told.status, house.bound.len()), (200, 3), "{}", told.text);
    assert_eq!(house.did, ["bind", "bind", "bind", "test", "test"]);
    assert!(house.bound.values().all(|bound| bound.dialect.as_deref() == Some("aws")));
    let told = house.ask("GET", "photos", "");
    for part in [queue, topic, bridge] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    house.did.clear();
    assert_eq!(house.ask("PUT", "photos", &told.text).status, 200);
    assert!(house.did.is_empty());
}

#[test]
fn a_new_set_is_there_before_the_old_one_goes() {
    let mut house = House::default();
    house.put(&one("a", FUNCTION, "s3:ObjectCreated:Put", &[]));
    house.did.clear();
    house.put(&one("a", FUNCTION, "s3:ObjectCreated:Copy", &[]));
    assert_eq!((house.did.as_slice(), house.bound.len()), (&["bind", "unbind"][..], 1));
    house.put("");
    assert!(house.bound.is_empty());
}

#[test]
fn a_set_of_which_a_part_can_not_be_leaves_all_as_it_was() {
    let mut house = House::default();
    house.put(&one("a", FUNCTION, "s3:ObjectCreated:Put", &[]));
    let before: Vec<Name> = house.bound.keys().cloned().collect();
    let gone = FUNCTION.replace("thumb", "gone");
    let both = one("x", &gone, "s3:ObjectRemoved:*", &[]) + &one("y", FUNCTION, "s3:ObjectCreated:Copy", &[]);
    let told = house.put(&both);
    assert_eq!(told.status, 400);
    assert!(told.text.contains("InvalidArgument") && told.text.contains("Unable to validate the following destination"), "{}", told.text);
    assert_eq!(house.bound.keys().cloned().collect::<Vec<_>>(), before);
}

#[test]
fn what_can_not_be_is_refused_by_name() {
    let check = |inside: &str, code: &str, words: &str| {
        let mut house = House::default();
        let told = house.put(inside);
        assert!(told.text.contains(&format!("<Code>{code}</Code>")) && told.text.contains(words), "{inside}: {}", told.text);
        assert!(house.did.is_empty());
    };
    check(&one("a", "thumb", "s3:ObjectCreated:*", &[]), "InvalidArgument", "The ARN could not be parsed");
    check(&one("a", "arn:aws:sqs:eu-west-1:123456789012:q", "s3:ObjectCreated:*", &[]), "InvalidArgument", "The ARN could not be parsed");
    check(&one("a", FUNCTION, "s3:Everything", &[]), "InvalidArgument", "s3:Everything");
    check(&one("a", FUNCTION, "s3:ObjectCreated:*", &[("infix", "x")]), "InvalidArgument", "either prefix or suffix");
    check(&one("a", FUNCTION, "s3:ObjectCreated:*", &[("prefix", "x"), ("prefix", "y")]), "InvalidArgument", "more than one prefix");
    let overlapping = one("a", FUNCTION, "s3:ObjectCreated:*", &[("prefix", "in/")]) + &one("b", FUNCTION, "s3:ObjectCreated:Put", &[]);
    check(&overlapping, "InvalidArgument", "Configurations overlap");
    check("<QueueConfiguration/>", "InvalidArgument", "The ARN could not be parsed");
    let queue = |name: &str| {
        format!(
            "<QueueConfiguration><Queue>arn:aws:sqs:eu-west-1:123456789012:{name}</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration>"
        )
    };
    check(&queue("gone"), "InvalidArgument", "Unable to validate the following destination configurations");
    check(&queue("q.fifo"), "InvalidArgument", "FIFO SQS queues are not supported");
    check("<Else/>", "MalformedXML", "Else");
    check("<CloudFunctionConfiguration>", "MalformedXML", "");
    let told = House::default().ask("PUT", "others", "<NotificationConfiguration/>");
    assert_eq!(told.status, 404);
    assert!(told.text.contains("NoSuchBucket"));
    assert_eq!(House::default().ask("DELETE", "photos", "").status, 405);
}

#[test]
fn those_that_look_elsewhere_stand_side_by_side() {
    let mut house = House::default();
    let apart = one("a", FUNCTION, "s3:ObjectCreated:*", &[("suffix", ".jpg")])
        + &one("b", FUNCTION, "s3:ObjectCreated:*", &[("suffix", ".png")])
        + &one("c", FUNCTION, "s3:ObjectRemoved:*", &[]);
    assert_eq!(house.put(&apart).status, 200);
    assert_eq!(house.bound.len(), 3);
}

#[test]
fn a_document_is_small_and_plain() {
    let read = |text: &str| xml::read(text.as_bytes());
    assert_eq!(read("<a>x<![CDATA[<y>]]>&#33;&lt;</a>").unwrap().text, "x<y>!<");
    for wrong in ["", "<a>", "<a/><b/>", "<a></b>", "x<a/>", "<!DOCTYPE a><a/>", "<a>&b;</a>", "<a>&#xffffffff;</a>", &"<a>".repeat(20)] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_bucket_is_in_the_path_or_in_the_host() {
    let of = |uri: &str, host: &str| bucket_of(&uri.parse().unwrap(), &HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]));
    assert_eq!(of("/photos?notification", "127.0.0.1:4566").as_deref(), Some("photos"));
    assert_eq!(of("/photos/?notification", "127.0.0.1:4566").as_deref(), Some("photos"));
    assert_eq!(of("/?notification", "photos.s3.localhost:4566").as_deref(), Some("photos"));
    assert_eq!(of("/?notification", "127.0.0.1:4566"), None);
    assert_eq!(of("/photos/a?notification", "127.0.0.1:4566"), None);
}
