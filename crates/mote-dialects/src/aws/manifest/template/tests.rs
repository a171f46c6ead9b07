//! What intrinsics come to, and that what goes round in them comes to an end.

use std::collections::BTreeMap;

use mote_core::bundle::Bundle;
use mote_core::dialect::Parameters;

use super::super::yaml;
use super::*;
use crate::aws::Account;

/// What comes of `V` among the resources, or the error.
fn worked_out(text: &str, set: &[(&str, &str)]) -> Result<serde_json::Value, String> {
    let root = yaml::read(text).unwrap().unwrap();
    let values: BTreeMap<String, String> = set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let said = Parameters { values, ..Parameters::default() };
    let ground = Ground {
        bundle: &Bundle::default(),
        said: &said,
        account: &Account::default(),
        folder: "",
        region: "us-east-1".to_owned(),
        taken: Default::default(),
    };
    let mut found = Findings::default();
    let template = Template::new(&root, &ground, &mut found);
    let value = template.resolve(root.get("V").unwrap()).map_err(|finding| format!("{} {}", finding.at, finding.what))?;
    Ok(value.map_or("NoValue".into(), |value| value.json()))
}

fn check(text: &str, expect: serde_json::Value) {
    assert_eq!(worked_out(text, &[]), Ok(expect), "{text}");
}

fn refused(text: &str, expect: &str) {
    assert_eq!(worked_out(text, &[]), Err(expect.to_owned()), "{text}");
}

#[test]
fn intrinsics() {
    check("V: !Ref AWS::Region", "us-east-1".into());
    check("V: !Ref AWS::NoValue", "NoValue".into());
    check("V: [a, !Ref AWS::NoValue, {b: !Ref AWS::NoValue}]", serde_json::json!(["a", {}]));
    check("V: !Sub 'a${AWS::Partition}b${!c}'", "aawsb${c}".into());
    check("V: !Sub ['${a}-${a}', {a: !Join ['', [x, y]]}]", "xy-xy".into());
    check("V: !Select [1, !Split [',', 'a,b,c']]", "b".into());
    check("V: {Condition: {StringEquals: a}}", serde_json::json!({"Condition": {"StringEquals": "a"}}));
    assert_eq!(worked_out("Parameters: {A: {Type: String}}\nV: !Ref A", &[("A", "x")]), Ok("x".into()));
    let text = "Resources: {B: {Type: 'AWS::S3::Bucket'}, Q: {Type: 'AWS::SQS::Queue'}}\nV: !Sub '${B} ${B.Arn} ${Q.QueueName}'";
    check(text, "mote-b arn:aws:s3:::mote-b Q".into());
}

#[test]
fn what_cannot_be_worked_out_says_where() {
    refused("V:\n  !Ref Nothing", "2:3 Nothing is no parameter, and no resource that mote makes of this template");
    refused("V: !Sub 'a${b'", "1:4 a `${` has no `}`");
    refused("V: !If [A, b, c]", "1:9 there is no condition A");
    refused("V: !Select [3, [a]]", "1:4 there is no such item in a list of 1");
    refused("V: !Cidr [a]", "1:4 mote does not work out Fn::Cidr");
    refused("V: !GetAtt a", "1:4 \"a\" stands where RESOURCE.ATTRIBUTE is wanted");
}

#[test]
fn what_goes_round_comes_to_an_end() {
    let bucket = |name: &str, other: &str| format!("  {name}: {{Type: 'AWS::S3::Bucket', Properties: {{BucketName: !Ref {other}}}}}\n");
    let ring = format!("Resources:\n{}{}V: !Ref A", bucket("A", "B"), bucket("B", "A"));
    assert!(worked_out(&ring, &[]).unwrap_err().contains("round in a ring"));
    let doubled = (1..40).fold("Conditions:\n  C0: !Equals [a, a]\n".to_owned(), |text, n| {
        format!("{text}  C{n}: !And [!Condition C{0}, !Condition C{0}]\n", n - 1)
    });
    check(&format!("{doubled}V: !If [C39, b, c]"), "b".into());
    let large = format!("V: !Join [x, [{}]]", "y,".repeat(20_000));
    assert!(worked_out(&large, &[]).unwrap_err().contains("more than 16384 bytes"));
}
