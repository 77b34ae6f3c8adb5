//! Messages that are handed in by `POST`: by whom, in what form, and what is answered.

use std::time::Duration;

use endpoint_runtime::cluster::{Local, Rooms};
use endpoint_runtime::prelude::*;
use endpoint_runtime::{BearerTokens, Server, ServerEndpointExporter};

use super::fallback::Site;
use super::support::{Answer, Raw, exporter, only, start, upgrade};

/// Somebody in the room "blue", and a user.
#[server_endpoint("/publishing/desk/{user}")]
struct Desk;

#[handlers]
impl Desk {
    #[on_open]
    fn open(&self, session: &Session, #[path] user: String) -> String {
        session.join("blue");
        session.set_user(&user);
        session.id().to_string()
    }
}

fn tokens() -> BearerTokens {
    BearerTokens::new(|token: String| async move {
        let now = std::time::SystemTime::now();
        match token.as_str() {
            "publisher" => Ok(Principal::new(()).named("billing").role("publisher")),
            "reader" => Ok(Principal::new(()).role("reader")),
            "late" => Ok(Principal::new(()).role("publisher").expires_at(now - Duration::from_secs(1))),
            _ => Err(Refusal::unauthorized("this token is not valid")),
        }
    })
    // What a browser sends by itself says nothing here.
    .cookie("token")
    .query("token")
}

fn desk() -> ServerEndpointExporter {
    only::<Desk>().bearer(tokens()).publishing("/publish", "publisher")
}

/// A request, with these header lines.
fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn from(token: &str, body: &str) -> String {
    let authorization = format!("Authorization: Bearer {token}");
    request("POST", "/publish", &[&authorization, "Content-Type: application/json"], body)
}

async fn hand_in(server: &Server, body: &str) -> Answer {
    Raw::connect(server.local_addr()).await.ask(from("publisher", body)).await
}

/// Somebody at the desk, and the id of the session.
async fn enter(server: &Server, user: &str) -> (Raw, String) {
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade(&format!("/publishing/desk/{user}"), &[])).await.status, 101);
    let id = raw.text().await;
    (raw, id)
}

#[tokio::test]
async fn a_message_reaches_whom_it_is_for() {
    let server = start(desk()).await;
    let (mut ada, _) = enter(&server, "ada").await;
    let (mut bo, id) = enter(&server, "bo").await;
    let done = |queued| {
        format!(
            r#"{{"queued":{queued},"missed":0,"elsewhere":"nowhere","receivers":null,"position":null,"duplicate":false}}"#
        )
    };
    let table = [
        (r#"{"room":"blue","text":"to blue"}"#.to_owned(), 2),
        (r#"{"room":"red","text":"to nobody"}"#.to_owned(), 0),
        (r#"{"user":"bo","text":"to bo","id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}"#.to_owned(), 1),
        (format!(r#"{{"session":"{id}","text":"to the session"}}"#), 1),
        (r#"{"all":true,"bytes":"AP8="}"#.to_owned(), 2),
    ];
    for (body, queued) in table {
        let answer = hand_in(&server, &body).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!((answer.status, answer.body), (202, done(queued)), "{body}");
    }
    assert_eq!(ada.text().await, "to blue");
    for expected in ["to blue", "to bo", "to the session"] {
        assert_eq!(bo.text().await, expected);
    }
    for raw in [&mut ada, &mut bo] {
        let frame = raw.frame().await.unwrap();
        assert_eq!((frame.opcode, &frame.payload[..]), (2, &b"\x00\xff"[..]));
    }
}

#[tokio::test]
async fn it_reaches_other_nodes() {
    let engine = Local::new();
    let one = start(desk().cluster(engine.clone())).await;
    let other = start(desk().cluster(engine)).await;
    let (mut bo, id) = enter(&other, "bo").await;
    let answer = hand_in(&one, r#"{"all":true,"text":"to all"}"#).await;
    assert_eq!(answer.status, 202);
    assert!(answer.body.contains(r#""queued":0,"missed":0,"elsewhere":"handed""#), "{}", answer.body);
    assert_eq!(hand_in(&one, &format!(r#"{{"session":"{id}","text":"to bo"}}"#)).await.status, 202);
    assert_eq!((bo.text().await, bo.text().await), ("to all".to_owned(), "to bo".to_owned()));
}

/// What is sent again under its id, since the answer was lost, is the same message.
#[tokio::test]
async fn a_message_with_an_id_is_delivered_once() {
    let kept = Rooms::recoverable(10, Duration::from_secs(60));
    let server = start(desk().cluster(Local::new()).rooms("blue", kept)).await;
    let (mut ada, _) = enter(&server, "ada").await;
    let mut positions = Vec::new();
    for (body, duplicate) in [
        (r#"{"room":"blue","text":"once","id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}"#, false),
        (r#"{"room":"blue","text":"once","id":"67e5504410b1426f9247bb680e5fe0c8"}"#, true),
        (r#"{"room":"blue","text":"next"}"#, false),
    ] {
        let answer = hand_in(&server, body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert!(answer.body.contains(&format!(r#""duplicate":{duplicate}}}"#)), "{}", answer.body);
        let position = answer.body.split(r#""position":"#).nth(1).unwrap();
        positions.push(position.split(']').next().unwrap().to_owned());
    }
    assert_eq!(positions[0], positions[1]);
    assert!(positions[0].ends_with(",1") && positions[2].ends_with(",2"), "{positions:?}");
    assert_eq!((ada.text().await, ada.text().await), ("once".to_owned(), "next".to_owned()));
}

/// Whoever may not publish learns nothing else.
#[tokio::test]
async fn who_may_not_publish_is_refused() {
    let server = start(desk()).await;
    let json = "Content-Type: application/json";
    let table: &[(&[&str], u16, Option<&str>)] = &[
        (&[json], 401, Some("Bearer")),
        (&[], 401, Some("Bearer")),
        (&[json, "Cookie: token=publisher"], 401, Some("Bearer")),
        (&[json, "Authorization: Basic publisher"], 401, Some("Bearer")),
        (&[json, "Authorization: Bearer"], 401, Some("Bearer")),
        (&[json, "Authorization: Bearer nobody"], 401, Some("Bearer error=\"invalid_token\"")),
        (&[json, "Authorization: Bearer late"], 401, Some("Bearer")),
        (&[json, "Authorization: Bearer reader"], 403, None),
        (&[json, "Authorization: bearer publisher"], 400, None),
    ];
    for (headers, status, challenge) in table {
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(request("POST", "/publish", headers, "nonsense")).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (*status, *challenge), "{headers:?}");
    }
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(request("POST", "/publish?token=publisher", &[json], "{}")).await.status, 401);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let server = start(desk().configure(|settings| settings.max_body_size = 1000)).await;
    let authorized = "Authorization: Bearer publisher";
    let json = "Content-Type: application/json";
    let good = r#"{"room":"blue","text":"hi"}"#;
    let large = format!(r#"{{"room":"blue","text":"{}"}}"#, "x".repeat(1000));
    let nobody = format!(r#"{{"session":"{}","text":"hi"}}"#, "0".repeat(32));
    let table = [
        (request("GET", "/publish", &[authorized], ""), 405),
        (request("DELETE", "/publish", &[], ""), 405),
        (request("POST", "/publish", &[authorized], good), 415),
        (request("POST", "/publish", &[authorized, "Content-Type: text/plain"], good), 415),
        (request("POST", "/publish", &[authorized, json], "{"), 400),
        (request("POST", "/publish", &[authorized, json], r#"{"room":"blue"}"#), 400),
        (request("POST", "/publish", &[authorized, json], &large), 413),
        (request("POST", "/publish", &[authorized, json], &nobody), 404),
        (request("POST", "/publish/", &[authorized, json], good), 404),
        (
            request("POST", "/publish", &[authorized, "Content-Type: Application/JSON; charset=utf-8"], good),
            202,
        ),
    ];
    for (request, status) in table {
        let answer = Raw::connect(server.local_addr()).await.ask(&request).await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"));
    }
    let mut raw = Raw::connect(server.local_addr()).await;
    let chunked = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\n{authorized}\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    assert_eq!(raw.ask(chunked).await.status, 411);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let short =
        |settings: &mut endpoint_runtime::Settings| settings.handshake_timeout = Duration::from_millis(50);
    let server = start(desk().configure(short)).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let whole = from("publisher", r#"{"room":"blue","text":"hi"}"#);
    assert_eq!(raw.ask(&whole[..whole.len() - 3]).await.status, 408);
}

/// The rest of the site is where it was.
#[tokio::test]
async fn the_fallback_has_the_rest() {
    let server =
        start(desk().fallback(Site::default()).configure(|settings| settings.prefix = "/ws".into())).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(request("GET", "/", &[], "")).await.body, "a page");
    assert_eq!(raw.ask(request("POST", "/publish", &[], "")).await.body, "no such page");
    assert_eq!(raw.ask(request("POST", "/ws/publish", &[], "")).await.status, 401);
}

/// It is never open to whoever comes.
#[tokio::test]
async fn nobody_opens_it_to_everybody() {
    let table = [
        (only::<Desk>().publishing("/publish", "publisher"), "BearerTokens"),
        (only::<Desk>().bearer(tokens()).publishing("/publish", ""), "name the role"),
        (only::<Desk>().bearer(tokens()).publishing("publish", "publisher"), "begins with `/`"),
        (only::<Desk>().bearer(tokens()).publishing("/{room}", "publisher"), "no variables"),
    ];
    for (exporter, expected) in table {
        let report = exporter.check();
        assert_eq!(report.problems().len(), 1, "{report}");
        assert!(report.to_string().contains(expected), "{report}");
    }
    assert!(desk().check().problems().is_empty());
    let mounted =
        exporter().only(ServerEndpointConfig::is::<Desk>).bearer(tokens()).publishing("/p", "publisher");
    assert!(mounted.mount().await.unwrap_err().to_string().contains(".publishing(..)"));
}
