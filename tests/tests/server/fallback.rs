//! Pages on the same port: what is not for an endpoint goes to a tower service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::BoxError;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tower_service::Service;

use super::support::{Echo, Raw, close, connect, only, says_back, soon, start, text, upgrade};

/// A small site: a page, an echo of what is posted, a failure, a page that takes its time, a page at an endpoint's path.
#[derive(Clone, Default)]
pub(crate) struct Site {
    entered: Arc<Notify>,
    finish: Arc<Notify>,
    /// Whether there is a page at `/echo`.
    page_at_endpoint: bool,
}

impl Service<Request<Incoming>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let site = self.clone();
        Box::pin(async move { site.answer(request).await })
    }
}

impl Site {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
        let path = request.uri().path().to_owned();
        let body: Bytes = match path.as_str() {
            "/" => "a page".into(),
            "/echo" if self.page_at_endpoint => format!("{} a page at an endpoint", request.method()).into(),
            "/post" => request.into_body().collect().await?.to_bytes(),
            "/fail" => return Err("the disk at /var/secret is full".into()),
            "/slow" => {
                self.entered.notify_one();
                self.finish.notified().await;
                "at last".into()
            }
            _ => {
                let mut response = Response::new(Full::from("no such page"));
                *response.status_mut() = StatusCode::NOT_FOUND;
                return Ok(response);
            }
        };
        Ok(Response::new(Full::from(body)))
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[tokio::test]
async fn pages_and_endpoints_share_a_port_and_a_connection() {
    let server = start(only::<Echo>().fallback(Site::default())).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let page = raw.ask(get("/")).await;
    assert_eq!((page.status, page.body.as_str()), (200, "a page"));
    let missing = raw.ask(get("/nothing")).await;
    assert_eq!((missing.status, missing.body.as_str()), (404, "no such page"), "the service's own 404");
    let posted = raw.ask("POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!((posted.status, posted.body.as_str()), (200, "hello"));
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    raw.send(text("and now a socket")).await;
    assert_eq!(raw.text().await, "and now a socket");
}

/// A handshake for what is no endpoint is the service's too: it may know more protocols than we do.
#[tokio::test]
async fn a_handshake_at_no_endpoint_goes_to_the_service() {
    let server = start(only::<Echo>().fallback(Site::default())).await;
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/nothing", &[])).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "no such page"));
}

#[tokio::test]
async fn a_plain_request_to_an_endpoint_is_426_where_there_is_no_page() {
    let server = start(only::<Echo>().fallback(Site::default())).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(get("/echo")).await;
    assert_eq!(answer.status, 426);
    assert_eq!(
        (answer.header("upgrade"), answer.header("sec-websocket-version")),
        (Some("websocket"), Some("13"))
    );
    assert_eq!(raw.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.status, 405);
}

#[tokio::test]
async fn a_page_may_live_at_an_endpoints_path() {
    let site = Site { page_at_endpoint: true, ..Site::default() };
    let server = start(only::<Echo>().fallback(site)).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let page = raw.ask(get("/echo")).await;
    assert_eq!((page.status, page.body.as_str()), (200, "GET a page at an endpoint"));
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
}

/// Whoever asks for a WebSocket in the wrong words is told so, and shown no page.
#[tokio::test]
async fn a_broken_handshake_is_shown_no_page() {
    let site = Site { page_at_endpoint: true, ..Site::default() };
    let server = start(only::<Echo>().fallback(site)).await;
    let good = upgrade("/echo", &[]);
    let table = [
        (good.replacen("Version: 13", "Version: 8", 1), 426),
        (good.replacen("Version: 13", "Version: 13, 8", 1), 426),
        (good.replacen("Key: dGhl", "Key: dGh", 1), 400),
        (upgrade("/echo", &["Origin: https://evil.example"]), 403),
    ];
    for (request, status) in table {
        assert_eq!(Raw::connect(server.local_addr()).await.ask(&request).await.status, status, "{request}");
    }
}

/// 500, and nothing of what went wrong inside.
#[tokio::test]
async fn a_service_that_fails_is_500() {
    let server = start(only::<Echo>().fallback(Site::default())).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(get("/fail")).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, "internal error\n"));
    assert_eq!(raw.ask(get("/")).await.status, 200, "the connection goes on");
}

/// Each request has a service of its own: one that takes its time holds up nobody.
#[tokio::test]
async fn a_slow_page_holds_up_nobody() {
    let site = Site::default();
    let (entered, finish) = (Arc::clone(&site.entered), Arc::clone(&site.finish));
    let server = start(only::<Echo>().fallback(site)).await;
    let mut slow = Raw::connect(server.local_addr()).await;
    slow.send(get("/slow")).await;
    soon("the slow page", entered.notified()).await;
    assert_eq!(Raw::connect(server.local_addr()).await.ask(get("/")).await.body, "a page");
    let mut client = connect(server.local_addr(), "/echo").await;
    says_back(&mut client, "hello").await;
    finish.notify_one();
    assert_eq!(slow.answer().await.unwrap().body, "at last");
}

/// A request that is being answered when the server stops is answered before it has stopped.
#[tokio::test]
async fn a_page_under_way_is_finished_before_the_server_stops() {
    let site = Site::default();
    let (entered, finish) = (Arc::clone(&site.entered), Arc::clone(&site.finish));
    let server = start(only::<Echo>().fallback(site)).await;
    let mut held = Raw::upgraded(server.local_addr(), "/echo").await;
    let mut slow = Raw::connect(server.local_addr()).await;
    slow.send(get("/slow")).await;
    soon("the slow page", entered.notified()).await;
    let mut stopping = tokio::spawn(server.shutdown());
    assert_eq!(held.frame().await.unwrap().reason().0, 1001);
    held.send(close(1001)).await;
    held.ended().await;
    drop(held);
    // Only the page is left to wait for.
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut stopping).await;
    assert!(waited.is_err(), "the server has stopped without the page");
    finish.notify_one();
    let answer = slow.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("at last", Some("close")));
    soon("the shutdown", stopping).await.unwrap();
}
