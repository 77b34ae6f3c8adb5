//! Origins end to end: which pages may connect, by default, by the endpoint's list, and by the settings.

use endpoint_runtime::prelude::*;

use super::support::{Echo, Raw, only, start, upgrade};

/// Says nothing of origins.
#[server_endpoint("/origin/silent")]
struct Silent;

#[handlers]
impl Silent {
    #[on_message]
    fn message(&self, text: String) -> String {
        text
    }
}

/// Any page may connect.
#[server_endpoint("/origin/any", origins = ["*"])]
struct Anyone;

#[handlers]
impl Anyone {
    #[on_message]
    fn message(&self, text: String) -> String {
        text
    }
}

/// These pages may, whatever the settings say.
#[server_endpoint("/origin/listed", origins = ["https://a.example", "http://b.example:8080"])]
struct Listed;

#[handlers]
impl Listed {
    #[on_message]
    fn message(&self, text: String) -> String {
        text
    }
}

/// The status for each origin; `""` stands for a request without one.
async fn statuses(address: std::net::SocketAddr, path: &str, table: &[(&str, u16)]) {
    for (origin, status) in table {
        let line = format!("Origin: {origin}");
        let lines: &[&str] = if origin.is_empty() { &[] } else { &[&line] };
        let answer = Raw::connect(address).await.ask(upgrade(path, lines)).await;
        assert_eq!(answer.status, *status, "{path} {origin:?}");
    }
}

/// The host of the requests is `server.example`, and they are not encrypted.
#[tokio::test]
async fn by_default_only_pages_of_the_same_origin_may_connect() {
    let server = start(only::<Silent>()).await;
    let table = [
        ("", 101),
        ("http://server.example", 101),
        ("http://SERVER.example:80", 101),
        ("https://server.example", 403),
        ("http://server.example:81", 403),
        ("http://other.example", 403),
        ("http://server.example.evil.example", 403),
        ("null", 403),
        ("nonsense", 403),
        ("http://server.example/page", 403),
    ];
    statuses(server.local_addr(), "/origin/silent", &table).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let twice = raw
        .ask(upgrade("/origin/silent", &["Origin: http://server.example", "Origin: http://server.example"]))
        .await;
    assert_eq!(twice.status, 403, "two origins are none");
}

/// The port counts: a page of another server on this machine is a foreign page.
#[tokio::test]
async fn a_page_of_another_port_is_foreign() {
    let server = start(only::<Silent>()).await;
    let here = server.local_addr();
    for (origin, status) in [(format!("http://{here}"), 101), ("http://127.0.0.1:1".to_owned(), 403)] {
        let request = upgrade("/origin/silent", &[&format!("Origin: {origin}")]);
        let request = request.replacen("Host: server.example", &format!("Host: {here}"), 1);
        assert_eq!(Raw::connect(here).await.ask(request).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn an_endpoint_may_list_its_origins_or_admit_any() {
    let server =
        start(super::support::exporter().only(|config| config.is::<Anyone>() || config.is::<Listed>())).await;
    let any = [("", 101), ("https://anybody.example", 101), ("null", 101)];
    statuses(server.local_addr(), "/origin/any", &any).await;
    let listed = [
        ("", 101),
        ("https://a.example", 101),
        ("https://a.example:443", 101),
        ("http://a.example", 403),
        ("http://b.example:8080", 101),
        ("http://b.example", 403),
        ("http://server.example", 403),
    ];
    statuses(server.local_addr(), "/origin/listed", &listed).await;
}

#[tokio::test]
async fn the_exporters_origins_hold_where_an_endpoint_says_nothing() {
    let exporter = super::support::exporter().only(|config| config.is::<Silent>() || config.is::<Listed>());
    let server = start(exporter.origins(["https://app.example"])).await;
    statuses(
        server.local_addr(),
        "/origin/silent",
        &[("https://app.example", 101), ("http://server.example", 403)],
    )
    .await;
    statuses(
        server.local_addr(),
        "/origin/listed",
        &[("https://app.example", 403), ("https://a.example", 101)],
    )
    .await;
    let nobody = start(only::<Echo>().origins([] as [&str; 0])).await;
    statuses(nobody.local_addr(), "/echo", &[("http://server.example", 403), ("", 101)]).await;
}
