//! Function URLs: made, looked at, changed, listed and taken away.
//!
//! Each is a binding beside the function's versions, of the function or of one of its aliases. What a
//! request to one becomes: [`crate::aws::urls`].

use std::sync::Arc;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::delivery::Destination;
use mote_core::function::{Binding, Bound, Cors, Name, Qualifier, Seen, UrlAccess};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, number, query, read, refuse, tell, unexpected};
use crate::aws::api::Ask;
use crate::aws::envelope::over_http::about;
use crate::aws::urls;

/// What the ids of these bindings begin with.
const PREFIX: &str = "function-url.";
const PAGE: usize = 50;
const MAX_AGE_S: i64 = 86_400;
const LIST_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 253;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    auth_type: Option<String>,
    cors: Option<Shared>,
    invoke_mode: Option<String>,
}

/// What pages of other origins may do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Shared {
    allow_credentials: Option<bool>,
    allow_headers: Option<Vec<String>>,
    allow_methods: Option<Vec<String>>,
    allow_origins: Option<Vec<String>>,
    expose_headers: Option<Vec<String>>,
    max_age: Option<i64>,
}

pub(super) fn create(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let alias = alias(&address)?;
    if wish.auth_type.is_none() {
        return Err(Fault::new(StatusCode::BAD_REQUEST, "ValidationException", "AuthType is required"));
    }
    let said = wish.said()?;
    Ok(describe(address, ask, move |address, ask, _| {
        find(address, ask, alias, move |address, ask, alias, found| {
            if found.is_some() {
                let message = format!(
                    "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig exists for this Lambda function",
                    address.arn(&ask)
                );
                return refuse(&Fault::new(StatusCode::CONFLICT, "ResourceConflictException", message), ask.stamp.id);
            }
            let now = ask.stamp.time.rfc3339();
            let mut config = Map::from_iter([("InvokeMode".to_owned(), "BUFFERED".into()), ("CreationTime".to_owned(), now.into())]);
            config.extend(said);
            keep(address, ask, alias, config, Seen::Nothing)
        })
    }))
}

pub(super) fn update(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let alias = alias(&address)?;
    let said = wish.said()?;
    Ok(there(address, ask, alias, move |address, ask, alias, found| {
        let mut config = found.about.clone();
        config.extend(said);
        keep(address, ask, alias, config, Seen::This(found))
    }))
}

pub(super) fn get(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let alias = alias(&address)?;
    Ok(there(address, ask, alias, |_, ask, _, found| {
        shown(ask, move |ask, public| tell(StatusCode::OK, &told(&found, &ask, public), ask.stamp.id))
    }))
}

pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let alias = alias(&address)?;
    Ok(there(address, ask, alias, |_, ask, _, found| {
        let what = Action::Unbind { namespace: ask.namespace.clone(), id: found.id.clone() };
        Turn::act(ask.who.clone(), what, move |gone| match gone {
            Ok(_) => Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)),
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        })
    }))
}

pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", PAGE)?;
    let after = query(&ask, "Marker").filter(|marker| marker.starts_with(PREFIX)).unwrap_or_else(|| PREFIX.to_owned());
    Ok(describe(address, ask, move |address, ask, _| {
        let what =
            Action::ListBound { namespace: ask.namespace.clone(), function: Some(address.name), after: Some(after), limit: limit + 1 };
        Turn::act(ask.who.clone(), what, move |listed| match listed {
            Ok(Done::Bound(listed)) => shown(ask, move |ask, public| {
                let listed: Vec<_> = listed.iter().filter(|bound| bound.id.as_str().starts_with(PREFIX)).collect();
                let page = listed.get(..limit).unwrap_or(&listed);
                let configs: Vec<Value> = page.iter().map(|bound| told(bound, &ask, public)).collect();
                let mut answer = json!({ "FunctionUrlConfigs": configs });
                if let (true, Some(last)) = (listed.len() > limit, page.last()) {
                    answer["NextMarker"] = last.id.as_str().into();
                }
                tell(StatusCode::OK, &answer, ask.stamp.id)
            }),
            Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        })
    }))
}

/// A version has no URL, and the draft is the function's own.
fn alias(address: &Address) -> Result<Option<Name>, Fault> {
    let Some(word) = &address.qualifier else { return Ok(None) };
    let pattern = r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)";
    let is_alias = matches!(address.version(), Qualifier::Alias(_));
    Name::new(word).ok().filter(|_| is_alias).map(Some).ok_or_else(|| Fault::constraint(word, "qualifier", pattern))
}

fn binding_id(ask: &Ask, address: &Address, alias: Option<&Name>) -> String {
    format!("{PREFIX}{}", urls::id(&ask.namespace, &address.name, alias.map(Name::as_str)))
}

/// The URL of a function or of its alias, if there is one.
fn find(
    address: Address,
    ask: Ask,
    alias: Option<Name>,
    then: impl FnOnce(Address, Ask, Option<Name>, Option<Arc<Bound>>) -> Turn + Send + 'static,
) -> Turn {
    let id = binding_id(&ask, &address, alias.as_ref());
    // The first one after all that come before it.
    let after = id.get(..id.len() - 1).map(str::to_owned);
    let what = Action::ListBound { namespace: ask.namespace.clone(), function: Some(address.name.clone()), after, limit: 1 };
    Turn::act(ask.who.clone(), what, move |listed| match listed {
        Ok(Done::Bound(listed)) => {
            let found = listed.into_iter().find(|bound| bound.id.as_str() == id);
            then(address, ask, alias, found)
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn there(
    address: Address,
    ask: Ask,
    alias: Option<Name>,
    then: impl FnOnce(Address, Ask, Option<Name>, Arc<Bound>) -> Turn + Send + 'static,
) -> Turn {
    describe(address, ask, move |address, ask, _| {
        find(address, ask, alias, move |address, ask, alias, found| match found {
            Some(found) => then(address, ask, alias, found),
            None => refuse(&Fault::missing("The resource you requested does not exist."), ask.stamp.id),
        })
    })
}

/// Goes on with where the public door is.
fn shown(ask: Ask, then: impl FnOnce(Ask, &str) -> Turn + Send + 'static) -> Turn {
    Turn::act(ask.who.clone(), Action::Status, move |status| match status {
        Ok(Done::Status(status)) => then(ask, &status.public),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn keep(address: Address, ask: Ask, alias: Option<Name>, mut config: Map<String, Value>, seen: Seen) -> Turn {
    let status = if seen == Seen::Nothing { StatusCode::CREATED } else { StatusCode::OK };
    config.insert("LastModifiedTime".into(), ask.stamp.time.rfc3339().into());
    let bound = match bound(&address, &ask, alias.as_ref(), config) {
        Ok(bound) => bound,
        Err(fault) => return refuse(&fault, ask.stamp.id),
    };
    Turn::act(ask.who.clone(), Action::Bind { bound: Box::new(bound), seen }, move |made| match made {
        Ok(Done::Bound(made)) => shown(ask, move |ask, public| match made.first() {
            Some(made) => tell(status, &told(made, &ask, public), ask.stamp.id),
            None => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        }),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn bound(address: &Address, ask: &Ask, alias: Option<&Name>, config: Map<String, Value>) -> Result<Bound, Fault> {
    let url = urls::id(&ask.namespace, &address.name, alias.map(Name::as_str));
    let word = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let access = if word("AuthType") == "NONE" { UrlAccess::Public } else { UrlAccess::Token };
    let cors = config.get("Cors").and_then(|cors| Shared::deserialize(cors).ok()).and_then(Shared::rules);
    let route = urls::route(&url, alias.map(Name::as_str), access, word("InvokeMode") == "RESPONSE_STREAM", cors);
    Ok(Bound {
        id: Name::new(&binding_id(ask, address, alias)).map_err(|error| Fault::of(&error))?,
        namespace: ask.namespace.clone(),
        to: Destination::Function(address.name.clone()),
        qualifier: alias.cloned().map_or(Qualifier::Live, Qualifier::Alias),
        binding: Binding::Http(route.into()),
        enabled: true,
        since: ask.stamp.time,
        label: None,
        dialect: None,
        about: config,
    })
}

fn told(bound: &Bound, ask: &Ask, public: &str) -> Value {
    let mut config = bound.about.clone();
    let (Some(function), Binding::Http(route)) = (bound.function(), &bound.binding) else { return config.into() };
    let id = route.about.get(about::URL_ID).and_then(Value::as_str).unwrap_or_default();
    let qualifier = match &bound.qualifier {
        Qualifier::Alias(alias) => Some(alias.to_string()),
        Qualifier::Live | Qualifier::Version(_) => None,
    };
    let arn = Address::of(function.name).qualified(qualifier).map(|address| address.arn(ask)).unwrap_or_default();
    config.insert("FunctionUrl".into(), urls::address(public, &bound.namespace, id).into());
    config.insert("FunctionArn".into(), arn.into());
    config.into()
}

impl Wish {
    fn said(self) -> Result<Map<String, Value>, Fault> {
        let one_of = |word: Option<String>, member: &str, known: [&str; 2]| match word {
            Some(word) if !known.contains(&word.as_str()) => {
                Err(Fault::constraint(&word, member, format_args!("Member must satisfy enum value set: [{}]", known.join(", "))))
            }
            word => Ok(word.map(Value::from)),
        };
        let auth = one_of(self.auth_type, "authType", ["NONE", "AWS_IAM"])?;
        let mode = one_of(self.invoke_mode, "invokeMode", ["RESPONSE_STREAM", "BUFFERED"])?;
        let cors = self.cors.map(|cors| cors.check().map(|()| cors.told())).transpose()?;
        let said = [("AuthType", auth), ("InvokeMode", mode), ("Cors", cors)];
        Ok(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}

impl Shared {
    fn check(&self) -> Result<(), Fault> {
        let lists = [
            ("cors.allowHeaders", &self.allow_headers),
            ("cors.allowMethods", &self.allow_methods),
            ("cors.allowOrigins", &self.allow_origins),
            ("cors.exposeHeaders", &self.expose_headers),
        ];
        for (member, list) in lists {
            let list = list.as_deref().unwrap_or_default();
            if list.len() > LIST_MAX {
                let limit = format_args!("Member must have length less than or equal to {LIST_MAX}").to_string();
                return Err(Fault::constraint(&list.len().to_string(), member, limit));
            }
            let sound = |text: &str| !text.is_empty() && text.len() <= TEXT_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
            if let Some(wrong) = list.iter().find(|text| !sound(text)) {
                return Err(Fault::constraint(wrong, member, "Member must satisfy regular expression pattern: .*"));
            }
        }
        match self.max_age.filter(|age| !(0..=MAX_AGE_S).contains(age)) {
            Some(age) => {
                let limit = format_args!("Member must have value between 0 and {MAX_AGE_S}").to_string();
                Err(Fault::constraint(&age.to_string(), "cors.maxAge", limit))
            }
            None => Ok(()),
        }
    }

    /// `None`: no page is let in. What the lists leave out is not let in, but for what a browser sends without asking:
    /// core takes an empty list for all there is.
    fn rules(self) -> Option<Cors> {
        let origins = self.allow_origins.filter(|origins| !origins.is_empty())?;
        let said = |list: Option<Vec<String>>, simple: &[&str]| {
            list.filter(|list| !list.is_empty()).unwrap_or_else(|| simple.iter().map(|&name| name.to_owned()).collect())
        };
        Some(Cors {
            origins,
            methods: said(self.allow_methods, &["GET", "HEAD", "POST"]),
            headers: said(self.allow_headers, &["accept"]),
            expose: self.expose_headers.unwrap_or_default(),
            credentials: self.allow_credentials.unwrap_or_default(),
            max_age_s: self.max_age.and_then(|age| u32::try_from(age).ok()).unwrap_or_default(),
        })
    }

    fn told(&self) -> Value {
        let said = [
            ("AllowCredentials", self.allow_credentials.map(Value::from)),
            ("AllowHeaders", self.allow_headers.clone().map(Value::from)),
            ("AllowMethods", self.allow_methods.clone().map(Value::from)),
            ("AllowOrigins", self.allow_origins.clone().map(Value::from)),
            ("ExposeHeaders", self.expose_headers.clone().map(Value::from)),
            ("MaxAge", self.max_age.map(Value::from)),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
    }
}
