//! CreateFunction.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::Code;
use mote_core::action::{Action, Done, Expect};
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::Map;

use super::code::{self, Place};
use super::configuration::Moment;
use super::fault::Fault;
use super::make::{self, Answer};
use super::names::Address;
use super::wish::{self, Wish};
use super::{read, refuse, unexpected};
use crate::aws::api::Ask;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    function_name: String,
    code: Place,
    publish: bool,
    package_type: Option<String>,
    tags: BTreeMap<String, String>,
    code_signing_config_arn: Option<String>,
    #[serde(flatten)]
    wish: Wish,
}

pub(super) fn create(ask: Ask) -> Result<Turn, Fault> {
    let create: Create = read(&ask.body)?;
    let address = Address::read(&create.function_name)?;
    address.is_known(&ask)?;
    if address.qualifier.is_some() {
        return Err(Fault::invalid("A function is created without a qualifier."));
    }
    create.wish.check_in(&ask.account.of(&ask.namespace))?;
    if create.package_type.as_deref() == Some("Image") {
        return Err(Fault::absent("container images"));
    }
    if create.code_signing_config_arn.is_some() {
        return Err(Fault::absent("code signing"));
    }
    let (Some(runtime), Some(handler)) = (create.wish.runtime.clone(), create.wish.handler.clone()) else {
        return Err(Fault::invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages."));
    };
    let tags = wish::tags(create.tags)?;
    let name = address.name.clone();
    let what = Action::Describe { function: address.reference(&ask), version: address.version() };
    Ok(Turn::act(ask.who.clone(), what, move |described| {
        let id = ask.stamp.id;
        match described {
            Err(error) if error.code() == Code::FunctionNotFound => {}
            Err(error) => return refuse(&Fault::of(&error), id),
            Ok(Done::Function(_)) => {
                let exists = Fault::new(StatusCode::CONFLICT, "ResourceConflictException", format!("Function already exist: {name}"));
                return refuse(&exists, id);
            }
            Ok(_) => return refuse(&Fault::of(&unexpected()), id),
        }
        let fetched = create.code.fetch(ask, move |ask, zip| {
            let answer = Answer { status: StatusCode::CREATED, moment: Moment::Created, publish: create.publish, expect: Expect::Nothing };
            let arns = create.wish.layers.clone().unwrap_or_default();
            make::anew(ask, name, zip, arns, answer, move |zip, layers| {
                let way = code::way(&runtime, &handler, zip, layers)?;
                let about = Map::from_iter(code::facts(zip).into_iter().chain(tags));
                create.wish.deployment(way, about)
            })
        });
        fetched.unwrap_or_else(|fault| refuse(&fault, id))
    }))
}
