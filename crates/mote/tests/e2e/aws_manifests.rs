//! Folders as people deploy them to AWS: `mote deploy` makes all that they declare, and what they
//! declare fires.

use std::time::{SystemTime, UNIX_EPOCH};

use mote_core::clock::Timestamp;

use crate::harness::{Run, Server, folder, mote, until};

const PYTHON: &str = "\
import json, os

def page(event, context):
    return {'statusCode': 200, 'body': os.environ['GREETING'] + ' ' + event['pathParameters']['name']}

def clock(event, context):
    print('the clock fired', json.dumps(event))

def photo(event, context):
    print('a photo came', json.dumps(event))
";

const SAM: &str = "\
Transform: AWS::Serverless-2016-10-31
Parameters:
  When: {Type: String}
Globals:
  Function: {Runtime: python3.12, CodeUri: code}
Resources:
  page:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.page
      Environment: {Variables: {GREETING: !Sub 'hello from ${Photos}'}}
      Events:
        Get: {Type: Api, Properties: {Path: '/page/{name}', Method: get}}
  clock:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.clock
      Events:
        Soon: {Type: ScheduleV2, Properties: {ScheduleExpression: !Ref When}}
  photo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.photo
      Events:
        Stored: {Type: S3, Properties: {Bucket: !Ref Photos, Events: 's3:ObjectCreated:*'}}
  Photos: {Type: AWS::S3::Bucket, Properties: {BucketName: photos}}
  Jobs: {Type: AWS::SQS::Queue}
";

const SERVERLESS: &str = "\
service: shop
provider:
  name: aws
  runtime: python3.12
  environment:
    GREETING: hello from ${self:custom.photos}
custom:
  photos: photos
functions:
  page:
    handler: app.page
    events:
      - httpApi: 'GET /page/{name}'
  clock:
    handler: app.clock
    events:
      - schedule: {rate: '${env:WHEN}', method: scheduler}
  photo:
    handler: app.photo
    events:
      - s3: ${self:custom.photos}
resources:
  Resources:
    Jobs:
      Type: AWS::SQS::Queue
";

const CHALICE: &str = "\
import os

from chalice import Chalice, Cron

app = Chalice(app_name='shop')


@app.route('/page/{name}')
def page(name):
    return os.environ['GREETING'] + ' ' + name


@app.schedule(Cron('*', '*', '*', '*', '?', '*'))
def clock(event):
    print('the clock fired', event)


@app.on_s3_event(bucket='photos', suffix='.jpg')
def photo(event):
    print('a photo came', event)
";

const CHALICE_CONFIG: &str =
    r#"{"version": "2.0", "app_name": "shop", "stages": {"dev": {"environment_variables": {"GREETING": "hello from photos"}}}}"#;

/// As much of the library as the app needs, so that nothing is fetched: the real one is in `tests/clients`.
const STAND_IN: &str = "\
import json


class Cron:
    def __init__(self, *fields):
        pass


class Chalice:
    def __init__(self, app_name):
        self.routes = {}

    def route(self, path):
        return lambda view: self.routes.setdefault(path, view)

    def schedule(self, expression):
        return lambda handler: lambda event, context: handler(json.dumps(event))

    on_s3_event = lambda self, **_: self.schedule(None)

    def __call__(self, event, context):
        view = self.routes[event['resource']]
        return {'statusCode': 200, 'body': view(**event['pathParameters'])}
";

/// Three seconds from now.
fn soon() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let moment = Timestamp(now + 3000).rfc3339();
    format!("at({})", moment.get(..19).unwrap())
}

impl Server {
    /// A route, a schedule and a bucket: all three reach their functions.
    fn all_three_fire(&self, page: &str, functions: [&str; 2]) {
        let answer = self.get(page).is(200);
        assert_eq!(answer.text(), "hello from photos you");
        let photo = folder(&[("a.jpg", "a photo")]);
        self.mote(&["bucket", "put", "photos/a.jpg", "--file", photo.path().join("a.jpg").to_str().unwrap()]).ok();
        for (function, said) in functions.into_iter().zip(["Scheduled Event", "a photo came"]) {
            until(said, || self.mote(&["logs", function]).ok().stdout.contains(said));
        }
    }

    fn has_nothing(&self) {
        for kind in ["functions", "buckets", "queues"] {
            let list = self.control("GET", &format!("/v1/{kind}"), b"").is(200).json();
            assert_eq!(list[kind].as_array().map(Vec::len), Some(0), "{list}");
        }
    }
}

#[test]
fn a_sam_template_is_deployed_with_all_that_it_declares() {
    let server = Server::start();
    let folder = folder(&[("template.yaml", SAM), ("code/app.py", PYTHON), ("package.json", "{}"), ("index.js", "")]);
    let path = folder.path().to_str().unwrap();
    // One thing that mote lacks, and nothing is made.
    let lacking = SAM.replace("  Jobs: {Type: AWS::SQS::Queue}\n", "  Jobs:\n    Type: AWS::DynamoDB::Table\n");
    std::fs::write(folder.path().join("template.yaml"), lacking).unwrap();
    let refused = server.mote(&["deploy", path, "--set", "When=rate(1 hour)"]).exits(1);
    assert!(refused.stderr.contains("template.yaml:28:11: Jobs: mote has no AWS::DynamoDB::Table"), "{refused:?}");
    server.has_nothing();
    std::fs::write(folder.path().join("template.yaml"), SAM).unwrap();
    let refused = server.mote(&["deploy", path]).exits(1);
    assert!(refused.stderr.contains("template.yaml:3:3: the parameter When has no Default"), "{refused:?}");

    server.mote(&["deploy", path, "--set", &format!("When={}", soon())]).ok();
    server.all_three_fire("/page/you", ["clock", "photo"]);
    assert!(server.mote(&["queue", "list"]).ok().stdout.contains("Jobs"));
}

#[test]
fn a_serverless_yml_is_deployed_with_all_that_it_declares() {
    let server = Server::start();
    let folder = folder(&[("serverless.yml", SERVERLESS), ("app.py", PYTHON)]);
    let path = folder.path().to_str().unwrap();
    let lacking = SERVERLESS.replace("AWS::SQS::Queue", "AWS::DynamoDB::Table");
    std::fs::write(folder.path().join("serverless.yml"), lacking).unwrap();
    let refused = server.mote(&["deploy", path]).exits(1);
    assert!(refused.stderr.contains("serverless.yml:25:13: Jobs: mote has no AWS::DynamoDB::Table"), "{refused:?}");
    assert!(refused.stderr.contains("there is nothing that ${env:WHEN} stands for"), "{refused:?}");
    server.has_nothing();
    std::fs::write(folder.path().join("serverless.yml"), SERVERLESS).unwrap();
    let mut deploy = mote();
    Run::of(deploy.args(["deploy", path]).env("MOTE_DATA", server.data()).env("WHEN", soon())).ok();
    server.all_three_fire("/page/you", ["shop-dev-clock", "shop-dev-photo"]);
    assert!(server.mote(&["queue", "list"]).ok().stdout.contains("Jobs"));
}

#[test]
fn a_chalice_folder_is_deployed_with_all_that_it_declares() {
    let server = Server::start();
    let files = [(".chalice/config.json", CHALICE_CONFIG), ("app.py", CHALICE), ("vendor/chalice/__init__.py", STAND_IN)];
    let folder = folder(&files);
    let path = folder.path().to_str().unwrap();
    let lacking = format!(
        "{CHALICE}\n\n@app.route('/' + str(len('x')))\ndef more():\n    pass\n\n\n@app.on_ws_message()\ndef said(event):\n    pass\n"
    );
    std::fs::write(folder.path().join("app.py"), lacking).unwrap();
    let refused = server.mote(&["deploy", path]).exits(1);
    assert!(refused.stderr.contains("app.py:23:12: what only running it would tell stands where a path is wanted"), "{refused:?}");
    assert!(refused.stderr.contains("app.py:28:1: mote does not honour on_ws_message of Chalice"), "{refused:?}");
    server.has_nothing();
    std::fs::write(folder.path().join("app.py"), CHALICE).unwrap();
    server.mote(&["deploy", path]).ok();
    let minute = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let deployed = minute();
    until("the next minute", || minute() > deployed);
    server.all_three_fire("/page/you", ["shop-dev-clock", "shop-dev-photo"]);
}

#[test]
fn a_package_of_cargo_lambda_that_is_not_built_changes_nothing() {
    let server = Server::start();
    let manifest = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\n\n[package.metadata.lambda.deploy]\nmemory = 64\n";
    let folder = folder(&[("Cargo.toml", manifest), ("src/main.rs", "fn main() {}\n")]);
    let refused = server.mote(&["deploy", folder.path().to_str().unwrap()]).exits(1);
    assert!(refused.stderr.contains("Cargo.toml:1:1: target/lambda/shop/bootstrap is not there"), "{refused:?}");
    server.has_nothing();
}
