//! A function of any of these manifests, in the words of Lambda's API, as the deployment it comes to.

use std::sync::Arc;

use mote_core::action::LAYERS;
use mote_core::bundle::Bundle;
use mote_core::dialect::Deployment;
use mote_core::engine::Preparing;
use mote_core::function::{Binding, Cors, HttpAccess, Name, UrlAccess};
use serde_json::{Map, Value};

use super::Ground;
use super::code;
use super::finding::{Finding, Findings, Outcome};
use super::yaml::Place;
use crate::aws::api::lambda;
use crate::aws::arn::{self, ABOUT_REGION};
use crate::aws::urls;

/// See the module's text.
pub(super) struct Wanted {
    pub(super) at: Place,
    pub(super) name: Name,
    pub(super) files: Bundle,
    /// By their names in the manifest.
    pub(super) layers: Vec<(String, Arc<Bundle>)>,
    /// As CreateFunction has them, those alone that it has.
    pub(super) members: Map<String, Value>,
    /// The code needs no dependencies beside those that it brings.
    pub(super) built: bool,
    pub(super) url: Option<FunctionUrl>,
    pub(super) bindings: Vec<Binding>,
}

/// The function's address at the public door: that of every function of mote, and that of a function URL, which takes signatures.
pub(super) struct FunctionUrl {
    pub(super) access: UrlAccess,
    pub(super) cors: Option<Cors>,
    pub(super) streams: bool,
}

impl FunctionUrl {
    pub(super) fn public() -> FunctionUrl {
        FunctionUrl { access: UrlAccess::Public, cors: None, streams: false }
    }
}

/// Checks one member alone, so that what is wrong has its own place.
pub(super) fn check(at: Place, name: &str, value: &Value) -> Outcome<()> {
    lambda::check_member(name, value).map_err(|why| Finding::new(at, why))
}

/// What is another account's is told before anything is made, and is not taken for this one's of that name.
pub(super) fn check_owner(ground: &Ground<'_>, at: Place, arn: &str) -> Outcome<()> {
    arn::check_owner(arn, &ground.account()).map_err(|why| Finding::new(at, why))
}

pub(super) fn name(at: Place, text: &str) -> Outcome<Name> {
    let short = text.len() <= NAME_BYTES_MAX && !text.contains('.');
    Name::new(text).ok().filter(|_| short).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Finding::new(at, format!("{shown:?} is no function's name: 1 to {NAME_BYTES_MAX} letters, digits, '-' and '_'"))
    })
}

/// Names are longer here than at AWS, since a service's name stands before them.
const NAME_BYTES_MAX: usize = 128;

impl Wanted {
    pub(super) fn deployment(self, ground: &Ground<'_>, found: &mut Findings) -> Option<Deployment> {
        let at = self.at;
        found.keep(self.build(ground).map_err(|why| Finding::new(at, why)))
    }

    fn build(self, ground: &Ground<'_>) -> Result<Deployment, String> {
        let layers: Vec<Arc<Bundle>> = self.layers.iter().map(|(_, files)| files.clone()).collect();
        let brings = |files: &Bundle, file: &str| files.file(file).is_some();
        let in_layer = !brings(&self.files, BOOTSTRAP) && layers.iter().any(|layer| brings(layer, BOOTSTRAP));
        let has = |file: &str| brings(&self.files, file) || (in_layer && file == BOOTSTRAP);
        let mut deployment = lambda::deployment(self.members.into(), has)?;
        if in_layer && deployment.entry == BOOTSTRAP {
            deployment.entry = format!("{LAYERS}/{BOOTSTRAP}");
        }
        let files = code::layered(self.at, self.files, &layers).map_err(|finding| finding.what)?;
        if !layers.is_empty() {
            let told =
                |(name, _): &(String, _)| serde_json::json!({ "Arn": ground.arn("lambda", &format!("layer:{name}:1")), "CodeSize": 0 });
            deployment.about.insert("Layers".into(), self.layers.iter().map(told).collect());
        }
        deployment.about.insert(ABOUT_REGION.into(), ground.region().into());
        deployment.files = Some(Arc::new(files));
        deployment.preparing = Preparing { installs: !self.built, starts: true };
        deployment.bindings = self.bindings;
        if let Some(FunctionUrl { access, cors, streams }) = self.url {
            let id = urls::id(&ground.said.namespace, &self.name, None);
            deployment.bindings.push(Binding::Http(urls::route(&id, None, access, streams, cors.clone()).into()));
            deployment.http = HttpAccess { url: true, access, cors, ..HttpAccess::default() };
        }
        deployment.name = Some(self.name);
        Ok(deployment)
    }
}

const BOOTSTRAP: &str = "bootstrap";
