//! The one path with everything outside it scripted: calls, admission, the durable path, deploys.

#[path = "path/access.rs"]
mod access;
#[path = "path/admission.rs"]
mod admission;
#[path = "path/bindings.rs"]
mod bindings;
#[path = "path/calls.rs"]
mod calls;
#[path = "path/controls.rs"]
mod controls;
#[path = "path/deploys.rs"]
mod deploys;
#[path = "path/durable.rs"]
mod durable;
#[path = "path/flow_children.rs"]
mod flow_children;
#[path = "path/flow_faults.rs"]
mod flow_faults;
#[path = "path/flows.rs"]
mod flows;
#[path = "path/house.rs"]
mod house;
#[path = "path/http.rs"]
mod http;
#[path = "path/queues.rs"]
mod queues;
#[path = "path/records.rs"]
mod records;
#[path = "path/rules.rs"]
mod rules;
#[path = "path/secrets.rs"]
mod secrets;
#[path = "path/topics.rs"]
mod topics;
#[path = "path/vault.rs"]
mod vault;
#[path = "path/versions.rs"]
mod versions;
