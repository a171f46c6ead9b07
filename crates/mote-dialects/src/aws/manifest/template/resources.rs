//! The resources of a template: which kinds there are, and what others learn of them by a reference.

use std::rc::Rc;

use super::super::yaml::Key;
use super::{Finding, Node, Outcome, Place, Template};

/// One, before anything of it is read.
#[derive(Clone, Debug)]
pub(in super::super) struct Resource<'a> {
    pub(in super::super) at: Place,
    pub(in super::super) id: &'a str,
    pub(in super::super) kind: Kind,
    pub(in super::super) properties: Option<&'a Node>,
    pub(in super::super) metadata: Option<&'a Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Of SAM, and of Lambda itself.
    Function,
    PlainFunction,
    Layer,
    PlainLayer,
    Bucket,
    Queue,
    Topic,
    RestApi,
    HttpApi,
    Role,
    /// Taken, and of no effect.
    Silent(&'static str),
}

const RIGHTS: &str = "rights are those of mote's tokens, and a function reaches what its namespace holds";

impl<'a> Resource<'a> {
    pub(in super::super) fn read(key: &'a Key, node: &'a Node) -> Outcome<Resource<'a>> {
        let Some(kind) = node.get("Type") else { return Err(Finding::new(key.at, format!("the resource {} has no Type", key.text))) };
        let name = kind.as_text().unwrap_or_default();
        let known = Kind::of(name).map_err(|why| Finding::new(kind.at, format!("{}: mote has no {name:.100}{why}", key.text)))?;
        Ok(Resource { at: key.at, id: &key.text, kind: known, properties: node.get("Properties"), metadata: node.get("Metadata") })
    }

    /// As mote has it: the name that is given, or one made of the resource's own.
    pub(in super::super) fn name(&self, template: &Template<'a>) -> Outcome<Rc<str>> {
        if let Some(known) = template.named.borrow().get(self.id) {
            return Ok(known.clone());
        }
        let given = match self.kind.name_property().and_then(|property| self.properties?.get(property)) {
            Some(node) => template.resolve(node)?,
            None => None,
        };
        let name: Rc<str> = match given {
            Some(node) => node.as_text().ok_or_else(|| super::wanted(&node, "a name"))?.into(),
            None if self.kind == Kind::Bucket => bucket_name(template.ground.project(), self.id).into(),
            None => self.id.into(),
        };
        template.named.borrow_mut().insert(self.id, name.clone());
        Ok(name)
    }

    /// `Ref`.
    pub(super) fn reference(&self, template: &Template<'a>, at: Place) -> Outcome<String> {
        let (name, ground) = (self.name(template)?, template.ground);
        match self.kind {
            Kind::Function | Kind::PlainFunction | Kind::Bucket | Kind::Role | Kind::Silent(_) => Ok(name.to_string()),
            Kind::Layer | Kind::PlainLayer => Ok(ground.arn("lambda", &format!("layer:{name}:1"))),
            Kind::Queue => Ok(format!("https://sqs.{}.amazonaws.com/{}/{name}", ground.region(), ground.account())),
            Kind::Topic => Ok(ground.arn("sns", &name)),
            Kind::RestApi | Kind::HttpApi => Err(no_api(at)),
        }
    }

    /// `Fn::GetAtt`.
    pub(super) fn attribute(&self, template: &Template<'a>, at: Place, attribute: &str) -> Outcome<String> {
        let (name, ground) = (self.name(template)?, template.ground);
        match (self.kind, attribute) {
            (Kind::Function | Kind::PlainFunction, "Arn") => Ok(ground.arn("lambda", &format!("function:{name}"))),
            (Kind::Bucket, "Arn") => Ok(format!("arn:{}:s3:::{name}", ground.partition())),
            (Kind::Bucket, "DomainName" | "RegionalDomainName") => Ok(format!("{name}.s3.amazonaws.com")),
            (Kind::Queue, "Arn") => Ok(ground.arn("sqs", &name)),
            (Kind::Queue, "QueueName") | (Kind::Topic, "TopicName") => Ok(name.to_string()),
            (Kind::Queue, "QueueUrl") | (Kind::Topic, "TopicArn") => self.reference(template, at),
            (Kind::Role, "Arn") => Ok(format!("arn:{}:iam::{}:role/{name}", ground.partition(), ground.account())),
            (Kind::RestApi | Kind::HttpApi, _) => Err(no_api(at)),
            _ => Err(Finding::new(at, format!("mote knows no attribute {attribute} of {}", self.id))),
        }
    }
}

impl<'a> Template<'a> {
    pub(in super::super) fn resource(&self, at: Place, id: &str) -> Outcome<&Resource<'a>> {
        match self.resources.get(id) {
            Some(resource) => Ok(resource),
            // SAM makes these by itself.
            None if matches!(id, "ServerlessRestApi" | "ServerlessHttpApi") => Err(no_api(at)),
            None => Err(Finding::new(at, format!("{id} is no parameter, and no resource that mote makes of this template"))),
        }
    }
}

fn no_api(at: Place) -> Finding {
    Finding::new(at, "an API has no address of its own in mote: its routes are on the public door")
}

/// In the letters that a bucket's may have.
pub(in super::super) fn bucket_name(project: &str, id: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("{project}-{id}").chars().map(letter).take(63).collect();
    name.trim_matches('-').to_owned()
}

impl Kind {
    /// The error says what else there is.
    pub(in super::super) fn of(name: &str) -> Result<Kind, &'static str> {
        Ok(match name {
            "AWS::Serverless::Function" => Kind::Function,
            "AWS::Lambda::Function" => Kind::PlainFunction,
            "AWS::Serverless::LayerVersion" => Kind::Layer,
            "AWS::Lambda::LayerVersion" => Kind::PlainLayer,
            "AWS::S3::Bucket" => Kind::Bucket,
            "AWS::SQS::Queue" => Kind::Queue,
            "AWS::SNS::Topic" => Kind::Topic,
            "AWS::Serverless::Api" => Kind::RestApi,
            "AWS::Serverless::HttpApi" => Kind::HttpApi,
            "AWS::IAM::Role" => Kind::Role,
            "AWS::Lambda::Permission" | "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy" => Kind::Silent(RIGHTS),
            "AWS::Lambda::LayerVersionPermission" | "AWS::ApiGateway::Account" => Kind::Silent(RIGHTS),
            name if name.starts_with("AWS::IAM::") => Kind::Silent(RIGHTS),
            "AWS::Logs::LogGroup" => Kind::Silent("every function has a log group, kept as long as all logs are"),
            "AWS::CloudFormation::WaitConditionHandle" => Kind::Silent("a deploy waits for all that it makes"),
            "AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine" => return Err("; flows in a mote.toml are its own"),
            "AWS::SNS::Subscription" => return Err(" by itself: name the topic in the function's Events"),
            "AWS::Lambda::EventSourceMapping" => return Err(" by itself: name the queue in the function's Events"),
            "AWS::Events::Rule" | "AWS::Scheduler::Schedule" => return Err(" by itself: write the schedule into the function's Events"),
            _ => return Err(""),
        })
    }

    fn name_property(self) -> Option<&'static str> {
        Some(match self {
            Kind::Function | Kind::PlainFunction => "FunctionName",
            Kind::Layer | Kind::PlainLayer => "LayerName",
            Kind::Bucket => "BucketName",
            Kind::Queue => "QueueName",
            Kind::Topic => "TopicName",
            Kind::Role => "RoleName",
            Kind::RestApi | Kind::HttpApi | Kind::Silent(_) => return None,
        })
    }
}
