//! Connections.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::Transfer;
use super::body::FileBody;
use super::{Limits, Peer, router};
use crate::Desk;

/// Serves what a desk has, and what `more` has, until `stop` ends.
///
/// `more` is what other parts of the server show. Its requests have a [`Peer`] among their extensions.
pub async fn serve(
    desk: Arc<Desk>,
    more: Router,
    listeners: Vec<TcpListener>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let router = router(Arc::clone(&desk)).merge(more);
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let (desk, router, limits, places) = (
            Arc::clone(&desk),
            router.clone(),
            limits.clone(),
            Arc::clone(&places),
        );
        tasks.spawn(async move {
            loop {
                let Ok((stream, remote)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                };
                let Ok(local) = stream.local_addr() else {
                    continue;
                };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    continue;
                };
                let (desk, router, limits) = (Arc::clone(&desk), router.clone(), limits.clone());
                tokio::spawn(async move {
                    let _place = place;
                    talk(stream, Peer { remote, local }, desk, router, &limits).await;
                });
            }
        });
    }
    stop.await;
}

async fn talk(stream: TcpStream, peer: Peer, desk: Arc<Desk>, router: Router, limits: &Limits) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = TowerToHyperService::new(router.clone()).call(request);
        let desk = Arc::clone(&desk);
        async move {
            let mut response = answer.await?;
            if let Some(transfer) = response.extensions_mut().remove::<Transfer>() {
                *response.body_mut() = FileBody::new(transfer, desk, peer.address());
            }
            Ok::<_, Infallible>(response.map(Body::from))
        }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
