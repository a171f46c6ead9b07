//! A connection of mote's own to the outside, by the same rules as a function's: for webhooks.
//!
//! The name is looked up once, each address is judged, and only one that was judged is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::egress::Egress;
use mote_core::{Code, Error, Result};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::judge::{Aim, Found, judge, may_look_up};
use super::{address, here, resolver};

const TIME_MAX: Duration = Duration::from_secs(10);
const ADDRESSES_MAX: usize = 4;
/// Look-ups under way: each holds a thread, and can't be stopped.
const LOOKUPS_MAX: usize = 32;

/// See the module's text.
pub struct Outside {
    clock: Arc<dyn Clock>,
    lookups: Arc<Semaphore>,
}

impl Outside {
    pub fn new(clock: Arc<dyn Clock>) -> Outside {
        Outside { clock, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// `host`: a name in lower case, or an address.
    pub async fn connect(&self, host: &str, port: u16, egress: &Egress) -> Result<TcpStream> {
        let (name, addresses) = match host.parse::<IpAddr>() {
            Ok(address) => (None, vec![address]),
            Err(_) => (Some(host), self.look_up(host, egress).await?),
        };
        let (mut refusal, mut tried) = (None, 0);
        for address in addresses.iter().map(IpAddr::to_canonical) {
            // Also as it is behind the network's NAT64.
            let here = here::is_here(address).and_then(|here| Ok(here || here::is_here(address::plain(address))?));
            let judged = match here {
                Ok(here) => judge(egress, Aim { name, port }, Found { address, here }),
                Err(_) => Err(format!("the kernel does not say whether {address} is this host")),
            };
            match judged {
                Err(why) => refusal = refusal.or(Some(why)),
                Ok(()) if tried >= ADDRESSES_MAX => break,
                Ok(()) => {
                    tried += 1;
                    tokio::select! {
                        connected = TcpStream::connect(SocketAddr::new(address, port)) => if let Ok(connected) = connected {
                            let _ = connected.set_nodelay(true);
                            return Ok(connected);
                        },
                        () = self.clock.sleep(TIME_MAX) => {}
                    }
                }
            }
        }
        match refusal {
            Some(why) if tried == 0 => Err(refused(host, &why)),
            _ => Err(Error::new(Code::WebhookFailed, format!("{host}:{port} can't be connected to"))),
        }
    }

    async fn look_up(&self, name: &str, egress: &Egress) -> Result<Vec<IpAddr>> {
        if !resolver::is_host_name(name) {
            return Err(refused(name, "it is no name of a host"));
        }
        may_look_up(egress, name).map_err(|why| refused(name, &why))?;
        let asked = name.to_owned();
        let looking = async {
            // Before there is a task: who gives up while it waits for a place leaves none behind.
            let place = self.lookups.clone().acquire_owned().await.ok()?;
            // A task of its own: it holds its place until the host's resolver has answered.
            let looking = tokio::spawn(async move {
                let _place = place;
                let found = tokio::net::lookup_host((asked.as_str(), 0)).await;
                found.map(|addresses| addresses.map(|address| address.ip()).collect::<Vec<_>>())
            });
            looking.await.ok()?.ok()
        };
        let found = tokio::select! {
            found = looking => found,
            () = self.clock.sleep(TIME_MAX) => None,
        };
        // A name that is not found may be tomorrow.
        found.filter(|all| !all.is_empty()).ok_or_else(|| Error::new(Code::WebhookFailed, format!("{name} is not found")))
    }
}

fn refused(host: &str, why: &str) -> Error {
    Error::new(Code::WebhookRefused, format!("{host} must not be connected to: {why}"))
        .hint("The webhook's `egress` names what may be reached beside the public internet.")
}

#[cfg(test)]
mod tests {
    use mote_core::clock::SystemClock;
    use mote_testkit::FakeClock;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_place_in_vain_leaves_nothing_behind() {
        let clock = Arc::new(FakeClock::default());
        let outside = Arc::new(Outside::new(clock.clone()));
        let places = outside.lookups.clone().acquire_many_owned(LOOKUPS_MAX as u32).await.unwrap();
        let waiting = {
            let outside = outside.clone();
            tokio::spawn(async move { outside.connect("example.com", 443, &Egress::Public).await.map(drop) })
        };
        clock.sleepers(1).await;
        clock.advance(TIME_MAX);
        assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::WebhookFailed);
        drop(places);
        // No task holds on to it.
        assert_eq!(Arc::strong_count(&outside.lookups), 1);
    }

    #[tokio::test]
    async fn only_what_the_rules_name_is_connected_to() {
        let outside = Outside::new(Arc::new(SystemClock::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = |text: String| Egress::Rules(vec![text.parse().unwrap()]);
        outside.connect("127.0.0.1", port, &rules(format!("127.0.0.1:{port}"))).await.unwrap();
        for (host, egress) in [
            ("127.0.0.1", Egress::Public),
            ("localhost", Egress::Public),
            ("::1", Egress::Public),
            ("::ffff:127.0.0.1", Egress::Public),
            ("169.254.169.254", Egress::Public),
            ("10.0.0.1", Egress::Public),
            ("0.0.0.0", Egress::Public),
            ("127.0.0.1", Egress::None),
            ("127.0.0.1", rules("127.0.0.1:1".into())),
            ("2130706433", Egress::Public),
            ("localhost", rules(format!("localhost:{port}"))),
        ] {
            let error = outside.connect(host, port, &egress).await.expect_err(host);
            assert_eq!(error.code(), Code::WebhookRefused, "{host}: {error:?}");
        }
    }
}
