//! Connections that say nothing, and a socket that can't be accepted on.

use std::io::{Read, Write};

use mote_core::BoxFuture;
use mote_core::engine::{Connection, Depth};
use mote_core::function::{Function, Name};
use mote_testkit::FakeClock;
use tokio::io::AsyncReadExt;

use super::*;

/// Reads, and says so.
#[derive(Default)]
struct Listens(Arc<tokio::sync::Notify>);

impl Gateway for Listens {
    fn serve(&self, _: Origin, _: Service, mut connection: Box<dyn Connection>) -> BoxFuture<'static, ()> {
        let told = self.0.clone();
        Box::pin(async move {
            while connection.read_u8().await.is_ok() {
                told.notify_one();
            }
        })
    }

    fn sibling(&self, _: &Function, _: &str) -> Option<Name> {
        None
    }
}

fn origin(clock: &dyn Clock) -> Origin {
    let function = Arc::new(Function { id: clock.id(), dev: true, created: clock.now(), ..mote_testkit::function("f") });
    Origin { function, depth: Depth::default() }
}

fn doors(tcp: std::net::TcpListener) -> Doors {
    Doors { tcp, udp: std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
}

fn seams(gateway: Arc<dyn Gateway>, clock: Arc<dyn Clock>) -> Seams {
    Seams { sealed: false, gateway, clock, shared: Arc::default(), tell: Box::new(|_| {}), runtime_api: None }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let clock = Arc::new(FakeClock::default());
    let heard = Arc::new(Listens::default());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let _serving = serve(doors(listener), origin(&*clock), seams(heard.clone(), clock.clone())).unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    clock.sleepers(1).await;
    clock.advance(IDLE_MAX - Duration::from_secs(1));
    client.write_all(b"a").unwrap();
    heard.0.notified().await;
    clock.advance(Duration::from_secs(2));
    clock.sleepers(1).await;
    client.write_all(b"b").unwrap();
    heard.0.notified().await;
    clock.advance(IDLE_MAX);
    let end = tokio::task::spawn_blocking(move || client.read(&mut [0; 1])).await.unwrap();
    assert_eq!(end.unwrap_or(0), 0, "closed");
}

#[tokio::test]
async fn accepting_that_fails_is_tried_again_later_and_not_in_a_loop() {
    let clock = Arc::new(FakeClock::default());
    // Bound, but not listening: every accept fails, as it does without file descriptors.
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let gateway = Arc::new(Listens::default());
    let _serving = serve(doors(socket.into()), origin(&*clock), seams(gateway, clock.clone())).unwrap();
    for _ in 0..3 {
        clock.sleepers(1).await;
        clock.advance(RESPITE);
    }
}

#[tokio::test]
async fn instances_that_wait_take_no_places_from_one_another() {
    let clock = Arc::new(FakeClock::default());
    let shared = Arc::new(egress::Shared::with_accepted(2));
    let waiting = futures_util::future::join_all((0..8).map(|_| async {
        let heard = Arc::new(Listens::default());
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let serving =
            serve(doors(listener), origin(&*clock), Seams { shared: shared.clone(), ..seams(heard.clone(), clock.clone()) }).unwrap();
        client.write_all(b"a").unwrap();
        heard.0.notified().await;
        (serving, client)
    }));
    let waiting = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert_eq!(waiting.expect("some were never accepted").len(), 8);
}
