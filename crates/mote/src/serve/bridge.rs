//! `--mqtt-bridge`: the URL of another broker, what it means, and the way there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::Clock;
use mote_core::engine::Connection;
use mote_core::function::Name;
use mote_core::mqtt::Filter;
use mote_core::{Code, Error, Result};
use mote_mqtt::{Carried, Dial};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;
use crate::tls::Trust;

const DIAL_WAIT: Duration = Duration::from_secs(10);
/// Each way.
const FILTERS_MAX: usize = 50;

/// The other broker, as the URL names it.
pub(crate) struct Bridge {
    pub(super) carried: Carried,
    pub(super) way: Way,
}

/// See [`Dial`].
pub(super) struct Way {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    clock: Option<Arc<dyn Clock>>,
}

impl Bridge {
    /// `mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT][/NAMESPACE][?in=FILTER&out=FILTER&client=NAME&ca=FILE]`.
    pub(crate) fn parse(text: &str) -> std::result::Result<Bridge, Failure> {
        // Without its text: there is a password in it.
        let wrong = |why: &str| {
            Failure::usage(format!("--mqtt-bridge: {why}"))
                .wanted("wanted: a URL such as mqtt://user:password@broker.example:1883/default?in=sensors/%23&out=lamps/%23")
                .hint("`in` and `out` are filters and may come again; without `in` it is what the functions are bound to.")
        };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let is_secure = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            other => return Err(wrong(&format!("{other}:// is neither mqtt:// nor mqtts://"))),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        let named = url.path().trim_start_matches('/');
        let namespace = if named.is_empty() { Name::default_namespace() } else { Name::new(named).map_err(|e| wrong(e.detail()))? };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| wrong("the user is not UTF-8"));
        let username = Some(url.username()).filter(|name| !name.is_empty()).map(decoded).transpose()?;
        let password = url.password().map(decoded).transpose()?;
        let client = format!("mote-{namespace}");
        let mut carried = Carried { namespace, inwards: Vec::new(), outwards: Vec::new(), client, username, password };
        let mut ca = None;
        for (key, value) in url.query_pairs() {
            let filter = || Filter::new(&value).map_err(|error| wrong(error.detail()));
            match &*key {
                "in" => carried.inwards.push(filter()?),
                "out" => carried.outwards.push(filter()?),
                "client" => carried.client = value.into_owned(),
                "ca" => ca = Some(PathBuf::from(&*value)),
                other => return Err(wrong(&format!("it has no {other:?}; `in`, `out`, `client` and `ca` are known"))),
            }
        }
        if carried.inwards.len().max(carried.outwards.len()) > FILTERS_MAX {
            return Err(wrong(&format!("more than {FILTERS_MAX} filters")));
        }
        let tls = is_secure.then(|| Trust::Roots(ca).config()).transpose()?.map(|config| TlsConnector::from(Arc::new(config)));
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Bridge { carried, way: Way { host, port: url.port().unwrap_or(if is_secure { 8883 } else { 1883 }), tls, clock: None } })
    }
}

impl Way {
    pub(super) fn timed(mut self, clock: Arc<dyn Clock>) -> Way {
        self.clock = Some(clock);
        self
    }

    async fn connect(&self) -> Result<Box<dyn Connection>> {
        let failed = |what: &str| Error::new(Code::Internal, format!("{}:{} {what}", self.host, self.port));
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| failed("can't be reached").caused_by(e))?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let unproven = || failed("does not prove who it is");
        let name = ServerName::try_from(self.host.clone()).map_err(|e| unproven().caused_by(e))?;
        Ok(Box::new(tls.connect(name, socket).await.map_err(|e| unproven().caused_by(e))?))
    }
}

impl Dial for Way {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let Some(clock) = &self.clock else { return self.connect().await };
            tokio::select! {
                connection = self.connect() => connection,
                () = clock.sleep(DIAL_WAIT) => Err(Error::new(Code::Internal, format!("{}:{} does not answer", self.host, self.port))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let bridge = Bridge::parse("mqtt://u%40x:p%3A@broker.example/shop?in=a/%23&in=b/%2B&out=c&client=me").ok().unwrap();
        let Carried { namespace, inwards, outwards, client, username, password } = bridge.carried;
        assert_eq!((namespace.as_str(), client.as_str()), ("shop", "me"));
        assert_eq!((username.as_deref(), password.as_deref()), (Some("u@x"), Some("p:")));
        assert_eq!(inwards.iter().map(Filter::as_str).collect::<Vec<_>>(), ["a/#", "b/+"]);
        assert_eq!(outwards.iter().map(Filter::as_str).collect::<Vec<_>>(), ["c"]);
        assert_eq!((bridge.way.host.as_str(), bridge.way.port), ("broker.example", 1883));
        for bad in ["broker", "http://x", "mqtt://", "mqtt://x/not a name", "mqtt://x?in=a%23", "mqtt://x?what=1"] {
            assert!(Bridge::parse(bad).is_err(), "{bad}");
        }
    }
}
