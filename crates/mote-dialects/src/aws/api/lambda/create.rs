//! CreateFunction.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::Code;
use mote_core::action::{Action, Done, Files};
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::Map;

use super::code::{self, Place};
use super::configuration::Moment;
use super::fault::Fault;
use super::names::{Address, LATEST};
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
    if address.qualifier.as_deref() == Some(LATEST) {
        return Err(Fault::invalid("A function is created without a qualifier."));
    }
    create.wish.check()?;
    if create.package_type.as_deref() == Some("Image") {
        return Err(Fault::absent("container images"));
    }
    if create.code_signing_config_arn.is_some() {
        return Err(Fault::absent("code signing"));
    }
    if create.publish {
        return Err(Fault::absent("versions (Publish)"));
    }
    let (Some(runtime), Some(handler)) = (create.wish.runtime.clone(), create.wish.handler.clone()) else {
        return Err(Fault::invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages."));
    };
    let tags = wish::tags(create.tags)?;
    let name = address.name.clone();
    let what = Action::Describe { function: address.reference(&ask) };
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
        let fetched = create.code.fetch(ask, move |ask, zip| match code::way(&runtime, &handler, &zip) {
            Ok(way) => {
                let about = Map::from_iter(code::facts(&zip).into_iter().chain(tags));
                let deployment = create.wish.deployment(way, about);
                code::deploy(ask, name, Files::Archive(zip.into()), deployment, (StatusCode::CREATED, Moment::Created))
            }
            Err(fault) => refuse(&fault, id),
        });
        fetched.unwrap_or_else(|fault| refuse(&fault, id))
    }))
}
