//! What is asked of namespaces: their list, their quotas, and URLs that are signed in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::House;
use super::deploy::url_path;
use crate::access::limits::{QuotaReport, Used, waiting};
use crate::access::rights::Scope;
use crate::access::signed::{LIFE_MAX, Signable};
use crate::access::tokens::TokenId;
use crate::action::{NamespaceInfo, SignWish, SignedUrl, Target};
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::event::{Event, HttpRequest};
use crate::function::{Name, UrlAccess};
use crate::store::within::{is_hidden, parted, prefix};

impl House {
    /// Those that hold anything, and the default one; one alone where that is all the caller may know.
    pub(super) async fn namespaces(&self, bound: Option<&Name>) -> Result<Vec<NamespaceInfo>> {
        let mut found: BTreeMap<Name, NamespaceInfo> = BTreeMap::new();
        let empty = |name: &Name| NamespaceInfo { name: name.to_string(), ..Default::default() };
        let known = bound.cloned().unwrap_or_else(Name::default_namespace);
        found.insert(known.clone(), empty(&known));
        for name in self.directory().namespaces() {
            found.entry(name.clone()).or_insert_with(|| empty(&name)).functions = self.directory().count(Some(&name));
        }
        for bucket in self.objects.buckets().await?.into_iter().filter(|bucket| !is_hidden(&bucket.name)) {
            let (name, _) = parted(&bucket.name)?;
            found.entry(name.clone()).or_insert_with(|| empty(&name)).buckets += 1;
        }
        for token in self.access.tokens.list(None) {
            if let Scope::One(name) = token.scope {
                found.entry(name.clone()).or_insert_with(|| empty(&name)).tokens += 1;
            }
        }
        for name in self.access.limits.namespaces().into_iter().chain(self.vault.namespaces().await?) {
            found.entry(name.clone()).or_insert_with(|| empty(&name));
        }
        Ok(found.into_iter().filter(|(name, _)| bound.is_none_or(|bound| bound == name)).map(|(_, info)| info).collect())
    }

    pub(super) async fn quota(&self, namespace: Name) -> Result<QuotaReport> {
        let mut queued = 0;
        for queues in waiting(&namespace) {
            queued += self.invoker.queue.depth(&queues).await?;
        }
        let used = Used {
            calls: self.access.limits.running(&namespace),
            functions: self.directory().count(Some(&namespace)) as u64,
            queued,
            tokens: self.access.tokens.list(Some(&Scope::One(namespace.clone()))).len() as u64,
            stored: self.objects.bytes(&prefix(&namespace)).await?,
        };
        Ok(QuotaReport { quota: self.access.limits.quota(&namespace), namespace, used })
    }

    /// A URL that lets whoever has it make one call, as long as the token lives that asked for it.
    pub(super) fn sign(&self, wish: SignWish, signer: Option<TokenId>) -> Result<SignedUrl> {
        let live = self.directory().entry(&wish.function)?.function;
        if live.http.access != UrlAccess::Signed {
            return Err(Error::new(Code::RequestInvalid, format!("{} takes no signed URLs", wish.function))
                .hint("Set `access = \"signed\"` in its manifest, and deploy it again."));
        }
        if wish.life > LIFE_MAX || wish.life.is_zero() {
            return Err(Error::new(Code::RequestInvalid, "a signed URL is good for a second to seven days").hint("Give `--expires 10m`."));
        }
        let path = wish.path.clone().or_else(|| url_path(&live)).ok_or_else(|| {
            Error::new(Code::RequestInvalid, format!("{} has no URL of its own", wish.function))
                .hint("Name a route of it: `--path /orders/7`.")
        })?;
        let uri: http::uri::PathAndQuery = path.parse().ok().filter(|_| path.starts_with('/') && !path.contains('#')).ok_or_else(|| {
            Error::new(Code::RequestInvalid, "the path is not one of a URL").hint("It begins with `/`, and is percent-encoded.")
        })?;
        self.leads_to(&wish, &uri)?;
        let expires_s = self.invoker.clock.now().plus(wish.life).0 / 1000;
        let query = self.access.signing.query(Signable {
            function: &wish.function,
            method: wish.method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            expires_s,
            signer,
        });
        let url = format!("{}{}?{query}", self.public_url, uri.path());
        Ok(SignedUrl { url, method: wish.method.to_string(), expires: Timestamp(expires_s * 1000) })
    }

    /// An error if the path is another function's, or nobody's: the URL would never work.
    fn leads_to(&self, wish: &SignWish, uri: &http::uri::PathAndQuery) -> Result<()> {
        let clock = &self.invoker.clock;
        let mut event = Event::new(clock.id(), "/control", "mote.sign", clock.now(), bytes::Bytes::new());
        let request = HttpRequest { method: wish.method.clone(), path: uri.path().to_owned(), ..Default::default() };
        event.request = Some(Arc::new(request));
        let found = self.directory().resolve(&Target::Route { namespace: Name::default_namespace() }, &mut event);
        match found {
            Ok(found) if found.function.reference() == wish.function => Ok(()),
            Err(error) if error.code() == Code::MethodNotAllowed => Err(error),
            // Whose it is, is not told: it may be another namespace's.
            _ => Err(Error::new(Code::RequestInvalid, format!("nothing of {} answers at {}", wish.function, uri.path()))
                .hint("`mote show` tells where it answers; `--path` is the whole path on the public door.")),
        }
    }
}
