//! HTTP/2 in the clear, on the same port, by prior knowledge.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::world::{World, ok, within};

#[tokio::test]
async fn many_requests_share_a_connection() {
    let world = World::with(|request, body| async move {
        let body = body.collect(1 << 20).await?;
        ok(format!("{} {} {}", request.method, request.origin, body.len()))
    })
    .await;
    let io = TokioIo::new(world.client().await.into_socket());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let asked = (0..50usize).map(|size| {
        let mut sender = sender.clone();
        async move {
            let body = Full::new(Bytes::from(vec![b'x'; size * 3000]));
            let request = http::Request::post("http://name:1/path").body(body).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-request-id"));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("POST http://name:1 {}", size * 3000));
        }
    });
    within(futures_util::future::join_all(asked)).await;
    // A stop ends the idle connection in good order.
    drop(sender);
    world.stopper.stop();
    within(world.served).await.unwrap().unwrap();
    within(connection).await.unwrap().unwrap();
}
