//! How a server begins to stop: it says so first, and accepts on for a while; asked twice, it ends at once.

use std::time::Duration;

use endpoint_runtime::CloseCode;
use tokio::net::TcpStream;

use super::support::{
    Directory, Echo, Program, Raw, Reporter, closed, connect, only, only_these, says_back, soon, start, text,
    upgrade,
};

#[tokio::test]
async fn readiness_turns_false_first() {
    let exporter = only::<Echo>().configure(|settings| settings.drain_delay = Duration::from_secs(3600));
    let server = start(exporter).await;
    let (container, address) = (server.container().clone(), server.local_addr());
    let mut readiness = server.readiness();
    assert!(container.is_ready() && *readiness.borrow_and_update());
    let mut early = connect(address, "/echo").await;
    let stopping = tokio::spawn(server.shutdown());
    soon("readiness", readiness.wait_for(|ready| !ready)).await.unwrap();
    assert!(!container.is_ready());
    // For the next hour everything goes on.
    says_back(&mut early, "still here").await;
    says_back(&mut connect(address, "/echo").await, "still coming").await;
    assert!(!stopping.is_finished());
    stopping.abort();
}

#[tokio::test]
async fn after_the_delay_it_stops() {
    let (config, mut reports) = Reporter::at("/delayed");
    let exporter =
        only_these([config]).configure(|settings| settings.drain_delay = Duration::from_millis(200));
    let server = start(exporter).await;
    let address = server.local_addr();
    let client = connect(address, "/delayed").await;
    reports.opened().await;
    let began = tokio::time::Instant::now();
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(closed(client).await.unwrap().0, 1001);
    assert!(began.elapsed() >= Duration::from_millis(200), "timers may be late, never early");
    soon("the end", stopping).await.unwrap();
    assert_eq!(reports.closed().await.code(), CloseCode::Away);
    assert!(TcpStream::connect(address).await.is_err());
}

/// A server is ready once its listeners are open, and a handler may ask.
#[tokio::test]
async fn it_is_ready_when_on_ready_is_called() {
    let (told, was) = tokio::sync::oneshot::channel();
    let server =
        start(only::<Echo>().on_ready(|server| told.send(*server.readiness().borrow()).unwrap())).await;
    assert!(was.await.unwrap());
    server.shutdown().await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for delayed in [true, false] {
        let directory = Directory::new();
        let hour = if delayed { "ENDPOINT_DRAIN_DELAY" } else { "ENDPOINT_CLOSE_TIMEOUT" };
        let variables = [(hour, "1h"), ("ENDPOINT_DRAIN_TIMEOUT", "1h")];
        let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &variables);
        let address = program.ready().await;
        // It never answers a close frame.
        let mut deaf = Raw::upgraded(address, "/echo").await;
        deaf.send(text("hello")).await;
        assert_eq!(deaf.text().await, "hello");
        program.signal("TERM").await;
        program.until("not ready").await;
        if !delayed {
            assert_eq!(deaf.frame().await.unwrap().reason().0, 1001);
        }
        program.signal("INT").await;
        program.until("returned").await;
        let (status, errors) = program.ended().await;
        assert!(status.success(), "{status}");
        assert!(errors.contains("told to stop once more: ending at once"), "{errors}");
    }
}

// ---- where others take over the address

/// Whoever has come to the old one is served by it: what was asked, and what is asked at last, becomes a session and is closed.
#[tokio::test]
async fn nobody_who_has_come_is_refused_where_others_take_over() {
    let (config, mut reports) = Reporter::at("/shared");
    let exporter = only_these([config]).configure(|settings| {
        settings.reuse_port = true;
        settings.drain_grace = Duration::from_secs(3600);
        settings.head_timeout = Duration::from_secs(3600);
    });
    let server = start(exporter).await;
    let address = server.local_addr();
    let mut idle = Raw::connect(address).await;
    assert_eq!(idle.ask(upgrade("/nowhere", &[])).await.status, 404);
    let silent = Raw::connect(address).await;
    let request = upgrade("/shared", &[]);
    let (first_half, second_half) = request.split_at(request.len() / 2);
    let mut late = Raw::connect(address).await;
    late.send(first_half).await;
    let mut held = Raw::upgraded(address, "/shared").await;
    reports.opened().await;

    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(held.frame().await.unwrap().reason(), (1012, "the server is restarting".to_owned()));
    drop(held);
    assert_eq!(idle.ended().await, b"", "it has had its answer");
    for (mut raw, rest) in [(late, second_half), (silent, &request)] {
        let answer = raw.ask(rest).await;
        assert_eq!((answer.status, answer.header("connection")), (101, Some("Upgrade")));
        assert_eq!(raw.frame().await.unwrap().reason().0, 1012);
    }
    soon("the end", stopping).await.unwrap();
    for _ in 0..3 {
        assert_eq!(reports.closed().await.code(), CloseCode::Restart);
    }
}

/// Who has come and asks nothing is waited for so long and no longer.
#[tokio::test]
async fn who_never_asks_holds_nothing_up() {
    let exporter = only::<Echo>().configure(|settings| {
        settings.reuse_port = true;
        settings.drain_grace = Duration::from_millis(50);
        settings.head_timeout = Duration::from_secs(3600);
        settings.drain_timeout = Duration::from_secs(3600);
    });
    let server = start(exporter).await;
    let mut silent = Raw::connect(server.local_addr()).await;
    soon("the end", server.shutdown()).await;
    assert_eq!(silent.ended().await, b"");
}

/// Two servers at one port; when one goes, the other has it.
#[tokio::test]
async fn two_servers_share_a_port() {
    let shared = |address: &str| {
        let settings = endpoint_runtime::Settings::default();
        let exporter = endpoint_runtime::export_all().settings(settings);
        exporter
            .only(endpoint_runtime::ServerEndpointConfig::is::<Echo>)
            .bind(endpoint_runtime::Listen::on(address).reuse_port())
    };
    let old = start(shared("127.0.0.1:0")).await;
    let address = old.local_addr();
    let new = start(shared(&address.to_string())).await;
    assert_eq!(new.local_addr(), address);
    soon("the end of the old one", old.shutdown()).await;
    for _ in 0..10 {
        says_back(&mut connect(address, "/echo").await, "hello").await;
    }
    new.shutdown().await;
}
