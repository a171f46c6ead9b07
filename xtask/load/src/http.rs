//! Requests to a server that speaks HTTP, each the same; and the hello server.

use std::net::SocketAddr;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::drive::{Load, Producer, drive};

#[derive(Args)]
pub(crate) struct Run {
    #[arg(long)]
    url: String,
    #[command(flatten)]
    load: Load,
    /// The body that every answer must have.
    #[arg(long)]
    expect: Option<String>,
    /// A body to POST; without it, it is a GET.
    #[arg(long)]
    post: Option<String>,
    /// `name: value`; may be given more than once.
    #[arg(long)]
    header: Vec<String>,
    /// The status that every answer must have.
    #[arg(long, default_value_t = 200)]
    status: u16,
}

pub(crate) async fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let router = axum::Router::new().fallback(|| async { "9" });
    Ok(axum::serve(listener, router).await?)
}

pub(crate) async fn run(run: Run) -> Result<serde_json::Value, Failure> {
    let uri: http::Uri = run.url.parse()?;
    let address: SocketAddr = uri.authority().ok_or("the URL has no address")?.as_str().parse()?;
    let mut producers = Vec::new();
    for _ in 0..run.load.connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        producers.push(Connection { sender, request: request(&run, &uri, address)?, expect: run.expect.clone(), status: run.status });
    }
    drive(&run.load, producers).await
}

fn request(run: &Run, uri: &http::Uri, address: SocketAddr) -> Result<http::Request<Full<Bytes>>, Failure> {
    let method = if run.post.is_some() { http::Method::POST } else { http::Method::GET };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::Request::builder().method(method).uri(path).header(http::header::HOST, address.to_string());
    for header in &run.header {
        let (name, value) = header.split_once(':').ok_or("a header is `name: value`")?;
        request = request.header(name.trim(), value.trim());
    }
    Ok(request.body(run.post.clone().unwrap_or_default().into())?)
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
    expect: Option<String>,
    status: u16,
}

impl Producer for Connection {
    async fn ask(&mut self) -> Result<(), Failure> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(self.request.clone()).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.as_u16() != self.status || self.expect.as_ref().is_some_and(|expect| expect.as_bytes() != body) {
            return Err(format!("{} answered {status}: {}", self.request.uri(), String::from_utf8_lossy(&body)).into());
        }
        Ok(())
    }
}
