//! Listeners: several, on any port, on Unix sockets; started, stopped and started again; two servers in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Address, DeployError, ServerEndpointConfig};
use futures_util::SinkExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::support::{
    Directory, Echo, Raw, Reporter, closed, connect, log_nothing, next_text, only, only_these, says_back,
    soon, start, text, upgrade,
};

async fn says_it_back(raw: &mut Raw) {
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    raw.send(text("hello")).await;
    assert_eq!(raw.text().await, "hello");
}

#[tokio::test]
async fn port_0_is_any_free_port_and_on_ready_is_told_which_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (told, ready) = oneshot::channel();
    let counted = Arc::clone(&calls);
    let exporter =
        only::<Echo>().on_ready(move |server| told.send(server.local_addr()).unwrap()).on_ready(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
    let server = start(exporter).await;
    let address = soon("on_ready", ready).await.unwrap();
    assert_ne!(address.port(), 0);
    assert_eq!(address, server.local_addr());
    assert_eq!(server.addresses(), [Address::Tcp(address)]);
    says_it_back(&mut Raw::connect(address).await).await;
    server.shutdown().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1, "every on_ready is called, once");
}

#[tokio::test]
async fn several_addresses_are_one_server() {
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    let server = start(only::<Echo>().bind("localhost:0").bind(format!("unix:{}", socket.display()))).await;
    let [Address::Tcp(one), Address::Tcp(two), Address::Unix(path)] = server.addresses() else {
        panic!("{:?}", server.addresses())
    };
    assert_eq!((server.local_addr(), path), (*one, &socket));
    assert_ne!(one.port(), two.port());
    let mut clients = [Raw::connect(*one).await, Raw::connect(*two).await, Raw::connect_unix(path).await];
    for raw in &mut clients {
        says_it_back(raw).await;
    }
    assert_eq!(server.sessions().count(), 3);
    drop(clients);
    server.shutdown().await;
}

// ---- Unix sockets

#[tokio::test]
async fn a_unix_socket_is_served_and_removed_in_the_end() {
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    let exporter = endpoint_runtime::export_all().settings(endpoint_runtime::Settings::default());
    let exporter = exporter.only(ServerEndpointConfig::is::<Echo>).bind(format!("unix:{}", socket.display()));
    let server = start(exporter).await;
    assert_eq!(server.local_addr().to_string(), "0.0.0.0:0", "there is no TCP listener");
    assert_eq!(server.addresses()[0].to_string(), format!("unix:{}", socket.display()));
    let mut raw = Raw::connect_unix(&socket).await;
    says_it_back(&mut raw).await;
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(raw.frame().await.unwrap().reason().0, 1001);
    raw.send(super::support::close(1001)).await;
    drop(raw);
    soon("the end", stopping).await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_any_more_is_replaced() {
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    // As a process leaves it that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let server = start(only::<Echo>().bind(format!("unix:{}", socket.display()))).await;
    says_it_back(&mut Raw::connect_unix(&socket).await).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_not_taken() {
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    let server = start(only::<Echo>().bind(format!("unix:{}", socket.display()))).await;
    let error = only::<Echo>().bind(format!("unix:{}", socket.display())).start().await.unwrap_err();
    let problems = error.downcast_ref::<DeployError>().unwrap().problems();
    assert!(
        problems[0].to_string().contains(&format!("cannot listen on unix:{}", socket.display())),
        "{error}"
    );
    says_it_back(&mut Raw::connect_unix(&socket).await).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let directory = Directory::new().with("data.txt", "precious");
    let file = directory.file("data.txt");
    let result = only::<Echo>().bind(format!("unix:{}", file.display())).start().await;
    assert!(result.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

// ---- start and stop

#[tokio::test]
async fn a_server_can_be_started_again_on_its_port() {
    let server = start(only::<Echo>()).await;
    let address = server.local_addr();
    let mut client = connect(address, "/echo").await;
    says_back(&mut client, "first").await;
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(closed(client).await, Some((1001, "the server is shutting down".into())));
    soon("the end", stopping).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    let again = endpoint_runtime::export_all().settings(endpoint_runtime::Settings::default());
    let server = start(again.only(ServerEndpointConfig::is::<Echo>).bind(address.to_string())).await;
    assert_eq!(server.local_addr(), address);
    let mut client = connect(address, "/echo").await;
    says_back(&mut client, "second").await;
    drop(client);
    server.shutdown().await;
}

#[tokio::test]
async fn serve_with_shutdown_serves_until_its_future_is_done() {
    log_nothing();
    let (told, ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let exporter = only::<Echo>().on_ready(move |server| told.send(server.local_addr()).unwrap());
    let serving = tokio::spawn(exporter.serve_with_shutdown(async { stopped.await.unwrap() }));
    let mut client = connect(soon("on_ready", ready).await.unwrap(), "/echo").await;
    says_back(&mut client, "hello").await;
    stop.send(()).unwrap();
    assert_eq!(closed(client).await.unwrap().0, 1001);
    soon("the end", serving).await.unwrap().unwrap();
}

/// Whether it has come to listen or not, nobody does afterwards.
#[tokio::test]
async fn serve_with_shutdown_may_be_told_to_stop_before_it_has_started() {
    log_nothing();
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    let exporter = only::<Echo>().bind(format!("unix:{}", socket.display()));
    soon("the end", exporter.serve_with_shutdown(std::future::ready(()))).await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn serve_with_shutdown_returns_what_a_start_fails_with() {
    log_nothing();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = only::<Echo>().bind(taken.local_addr().unwrap().to_string());
    let result = soon("the error", exporter.serve_with_shutdown(std::future::pending())).await;
    assert!(result.unwrap_err().downcast_ref::<DeployError>().is_some());
}

// ---- two servers in one process

/// Counts the sessions of its own server, as `Sessions::current` and its parameter see them.
#[server_endpoint("/census", scope = singleton)]
struct Census;

#[handlers]
impl Census {
    #[on_message]
    async fn count(&self, _: String, sessions: Sessions) -> String {
        let before = Sessions::current().count();
        tokio::task::yield_now().await;
        format!("{before} {} {}", Sessions::current().count(), sessions.count())
    }
}

#[tokio::test]
async fn two_servers_have_a_registry_each() {
    let (one, two) = (start(only::<Census>()).await, start(only::<Census>()).await);
    let mut ones = Vec::new();
    for _ in 0..3 {
        ones.push(connect(one.local_addr(), "/census").await);
    }
    let mut other = connect(two.local_addr(), "/census").await;
    for (client, count) in [(&mut ones[0], 3), (&mut other, 1)] {
        client.send("?".into()).await.unwrap();
        assert_eq!(next_text(client).await, format!("{count} {count} {count}"));
    }
    assert_eq!((one.sessions().count(), two.sessions().count()), (3, 1));
    assert_eq!(one.sessions().endpoint::<Census>().count(), 3);
    let first = one.sessions().all().iter().next().unwrap();
    assert!(two.sessions().get(first.id()).is_none(), "an id of one server means nothing to the other");

    let stopping = tokio::spawn(one.shutdown());
    for client in ones {
        assert_eq!(closed(client).await.unwrap().0, 1001);
    }
    soon("the end of one", stopping).await.unwrap();
    other.send("still?".into()).await.unwrap();
    assert_eq!(next_text(&mut other).await, "1 1 1");
    drop(other);
    two.shutdown().await;
}

/// A server in this process may be started by its components' code too, and programmatic endpoints keep their factories apart.
#[tokio::test]
async fn two_servers_have_endpoints_of_their_own() {
    let (config, mut reports) = Reporter::at("/own");
    let (other, mut others) = Reporter::at("/own");
    let (one, two) = (start(only_these([config])).await, start(only_these([other])).await);
    let mut client = connect(one.local_addr(), "/own").await;
    says_back(&mut client, "one").await;
    let mut client_of_two = connect(two.local_addr(), "/own").await;
    says_back(&mut client_of_two, "two").await;
    let (session, of_two) = (reports.opened().await, others.opened().await);
    assert_eq!(session.handshake().local_addr(), Some(one.local_addr()));
    assert_eq!(of_two.handshake().local_addr(), Some(two.local_addr()));
    assert_eq!(session.handshake().peer_addr(), Some(client.get_ref().local_addr().unwrap()));
}

/// Whose component was injected.
struct Owner(&'static str);

#[server_endpoint("/owned", scope = singleton)]
struct Owned {
    #[inject]
    owner: Arc<Owner>,
}

#[handlers]
impl Owned {
    #[on_open]
    fn open(&self) -> String {
        self.owner.0.to_owned()
    }
}

/// One configuration in two servers: a singleton is one for each server, with that server's components.
#[tokio::test]
async fn a_singleton_belongs_to_its_server() {
    let config = ServerEndpointConfig::of::<Owned>();
    for owner in ["one", "two"] {
        let server = start(only_these([config.clone()]).provide(Owner(owner))).await;
        let mut client = connect(server.local_addr(), "/owned").await;
        assert_eq!(next_text(&mut client).await, owner);
    }
}
