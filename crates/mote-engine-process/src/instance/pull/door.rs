//! The connections of a runtime: hyper reads what it asks, and it is answered here.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mote_core::Body;
use tokio::net::TcpStream;

use super::{Api, Offer, answer, extensions};
use crate::instance::Instance;
use crate::runtime_api::{Asked, Refusal, call_headers};

/// A request's head: one header of it may be a document of X-Ray's of nearly 1 MiB.
const HEAD_BYTES_MAX: usize = (1 << 20) + (64 << 10);
const HEADERS_MAX: usize = 100;
const ACCEPTED: &str = r#"{"status":"OK"}"#;

/// Serves one connection to its end. Who waits in `next` says nothing, for however long.
pub(in crate::instance) async fn serve(instance: Arc<Instance>, connection: TcpStream) {
    let Some(api) = instance.api() else { return };
    let Ok(_place) = api.connections.try_acquire() else { return };
    let _ = connection.set_nodelay(true);
    let service = service_fn(|request| {
        let instance = instance.clone();
        async move { Ok::<_, Infallible>(respond(&instance, request).await) }
    });
    let mut door = Builder::new();
    door.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX).header_read_timeout(None).auto_date_header(false);
    // As the runtimes' own documentation writes them, for clients that compare.
    door.title_case_headers(true);
    // It ends by itself when the process does; how it ends says nothing that the guard does not know.
    let _ = door.serve_connection(TokioIo::new(connection), service).await;
}

async fn respond(instance: &Arc<Instance>, request: Request<Incoming>) -> Response<Body> {
    let Some(api) = instance.api() else { return refused(Refusal::NoSuchPath) };
    let (parts, mut body) = request.into_parts();
    let (headers, body) = (&parts.headers, &mut body);
    let done = match Asked::read(&parts.method, parts.uri.path()) {
        Ok(Asked::Next) => return next(instance, api).await.unwrap_or_else(refused),
        Ok(Asked::Response(id)) => answer::response(instance, api, &id, headers, body).await,
        Ok(Asked::Failure(id)) => answer::failure(instance, api, &id, headers, body).await,
        Ok(Asked::StartFailure) => answer::start_failure(instance, api, headers, body).await,
        Ok(Asked::Extension(wanted)) => match extensions::respond(wanted, instance, api, headers, body).await {
            Ok(response) => return response,
            Err(refusal) => Err(refusal),
        },
        // As AWS's own emulator says it, which extensions know.
        Ok(Asked::Subscription(to)) => {
            answer::discard(body).await;
            let told = format!(r#"{{"errorMessage":"{to} API is not supported","errorType":"{to}.NotSupported"}}"#);
            return json(StatusCode::ACCEPTED, told);
        }
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => json(StatusCode::ACCEPTED, ACCEPTED),
        Err(refusal) => {
            answer::discard(body).await;
            refused(refusal)
        }
    }
}

async fn next(instance: &Instance, api: &Api) -> Result<Response<Body>, Refusal> {
    if let Some(over) = api.rest()? {
        instance.end_pulled(over);
    }
    let Offer { asked, event, .. } = loop {
        let offered = api.offered.notified();
        tokio::pin!(offered);
        // Before the look, so that no offer between the two is missed.
        offered.as_mut().enable();
        if let Some(offer) = api.take() {
            break offer;
        }
        offered.await;
    };
    let mut response = Response::new(Body::from(event));
    *response.headers_mut() = call_headers(&asked);
    Ok(response)
}

fn refused(refusal: Refusal) -> Response<Body> {
    json(refusal.status(), refusal.document())
}

pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
