//! Whether there is a server, and whether it lets us in.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, EngineError, Nats, NatsOptions};
use endpoint_tests::nats_server::NatsServer;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{Node, Told};

/// An NKey, and what an operator says of it. They open nothing but the servers of these tests.
const USER: &str = "UA7OBDBPGEPVSLG7EGTR5JGO6M47WMUBKPMZ3FVWJOHI6XMA33SN6XWL";
const SEED: &str = "SUAPWOSVG4ZLODXZH3ZYZGQJX6OF3OVK53D65JT3ZVFNXLC5SZGYIZFOOA";
const OPERATOR: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJMRUFSTjNQQ0pIM1Q1VFZRSFE1V0tDT0JCWEJaU1NSR0FHV1NQWVlHWkhDWjYzSTJKRUNBIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJPQkUzTlZHUVlTMk9XTDczU1hMWE1SNU9NNkVaNUozSUs0NFI2U0FRSUNLTEVXNTY3QVdTSzdCRCIsIm5hbWUiOiJ0ZXN0cyIsInN1YiI6Ik9CRTNOVkdRWVMyT1dMNzNTWExYTVI1T002RVo1SjNJSzQ0UjZTQVFJQ0tMRVc1NjdBV1NLN0JEIiwibmF0cyI6eyJ0eXBlIjoib3BlcmF0b3IiLCJ2ZXJzaW9uIjoyfX0.rJl36RNt0IeNs7laKTmclVycANBFmBq84079ULeCxVbEKvojDsOPGNueTBfQC3W6qKuLoltKoxnLMQ76MxLGAQ";
const ACCOUNT: &str = "ABA67TU5WM62ZMGQM5FZIBN2YHJLSXWQAIUT5AEKD4QIEWG7SGZAFCIF";
const OF_THE_ACCOUNT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiI0NUpVRjVMRktBTFJXVlNWWlBDMkFHTFBOUjU0UVFTNTVLT0lRTU1TNVlaQVc3U1JKWVVBIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJPQkUzTlZHUVlTMk9XTDczU1hMWE1SNU9NNkVaNUozSUs0NFI2U0FRSUNLTEVXNTY3QVdTSzdCRCIsIm5hbWUiOiJzaG9wIiwic3ViIjoiQUJBNjdUVTVXTTYyWk1HUU01RlpJQk4yWUhKTFNYV1FBSVVUNUFFS0Q0UUlFV0c3U0daQUZDSUYiLCJuYXRzIjp7InR5cGUiOiJhY2NvdW50IiwidmVyc2lvbiI6MiwibGltaXRzIjp7InN1YnMiOi0xLCJkYXRhIjotMSwicGF5bG9hZCI6LTEsImltcG9ydHMiOi0xLCJleHBvcnRzIjotMSwid2lsZGNhcmRzIjp0cnVlLCJjb25uIjotMSwibGVhZiI6LTF9fX0.tbIXLmd3x2dgU63wuYlE3Mm43UsNPmT1WOYIj3BtyILeB2trStJXPAxiWX7Ui_kR1fqTfLJTefL4MnP53YtDDg";
const OF_THE_USER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJNUkszUFVSTTRSRVM2Uzc0V0dRM01HSFBGNlJYTURRVEtJV01QT0lGM0JVWFRMUklBN0VRIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJBQkE2N1RVNVdNNjJaTUdRTTVGWklCTjJZSEpMU1hXUUFJVVQ1QUVLRDRRSUVXRzdTR1pBRkNJRiIsIm5hbWUiOiJub2RlIiwic3ViIjoiVUE3T0JEQlBHRVBWU0xHN0VHVFI1SkdPNk00N1dNVUJLUE1aM0ZWV0pPSEk2WE1BMzNTTjZYV0wiLCJuYXRzIjp7InR5cGUiOiJ1c2VyIiwidmVyc2lvbiI6Miwic3VicyI6LTEsImRhdGEiOi0xLCJwYXlsb2FkIjotMX19.5OpNznnfnEln1vgClppNVZ3304RHGio52zq3ALGZpsXdadooO5I-aFVWueyN950-NMWeJXFIZzCb9v17P-wRDA";

/// Of another user.
const ANOTHERS_SEED: &str = "SUANLQTYVJTD3PDZ2YSQIZJJRFHPBILRFKZQY4I32APEMKASNEHEBLGZXY";

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_at_the_start() {
    // Nobody listens where somebody has just stopped to.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [nobody, silent.local_addr().unwrap()] {
        let began = Instant::now();
        let error = Nats::connect(&format!("nats://bo:secret@{address}")).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn who_we_are_stands_in_the_address() {
    let server = NatsServer::with(&["--user", "bo", "--pass", "s:cr@t"]).await;
    let address = server.address();
    Node::with(Nats::connect(&format!("nats://bo:s%3Acr%40t@{address}")).await.unwrap()).await;
    for wrong in [format!("nats://bo:secret@{address}"), format!("nats://{address}")] {
        let error = Nats::connect(&wrong).await.unwrap_err();
        assert!(matches!(error, EngineError::Refused(_)), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let server = NatsServer::with(&["--auth", "t0ken"]).await;
    Node::with(Nats::connect(&format!("nats://t0ken@{}", server.address())).await.unwrap()).await;
}

#[tokio::test]
async fn a_degraded_start_becomes_a_whole_one() {
    let mut server = NatsServer::start().await;
    server.kill().await;
    let mut a = Node::with(Nats::lazy(&server.url()).unwrap()).await;
    assert!(matches!(a.next().await, Told::Lost));
    let room = Channel::room("blue");
    let subscribed = a.engine.subscribe(std::slice::from_ref(&room)).await;
    assert!(matches!(subscribed, Err(EngineError::Unavailable(_))), "{subscribed:?}");

    server.start_again().await;
    assert!(matches!(a.next().await, Told::Back));
    // What was wanted meanwhile is subscribed to.
    Node::at(&server).await.publish(&room, "hello").await;
    assert_eq!(a.arrival().await, (room, "hello".to_owned()));
}

#[tokio::test]
async fn a_degraded_start_with_a_server_is_a_whole_one() {
    let server = NatsServer::start().await;
    let mut a = Node::with(Nats::lazy(&server.url()).unwrap()).await;
    a.subscribe(&Channel::All).await;
    a.publish(&Channel::All, "hello").await;
    assert!(matches!(a.next().await, Told::Arrived(_)));
}

/// It works, as what is published comes back.
pub(super) async fn works(options: NatsOptions) {
    let mut node = Node::with(options.connect().await.unwrap()).await;
    node.subscribe(&Channel::All).await;
    node.publish(&Channel::All, "here").await;
    assert_eq!(node.arrival().await.1, "here");
}

/// It is refused, with words that name the server and no secret.
async fn is_refused(options: NatsOptions, server: &NatsServer) {
    let error = options.connect().await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&server.address().to_string()) && !text.contains("SU"), "{text}");
}

#[tokio::test]
async fn a_server_may_know_us_by_an_nkey() {
    let server = NatsServer::configured(&format!("authorization {{ users: [ {{ nkey: {USER} }} ] }}")).await;
    let options = || Nats::options(&server.url()).unwrap();
    works(options().nkey(SEED)).await;
    is_refused(options().nkey(ANOTHERS_SEED), &server).await;
    is_refused(options().nkey("no seed"), &server).await;
    is_refused(options(), &server).await;
    assert!(!format!("{:?}", options().nkey(SEED)).contains("SU"));
}

#[tokio::test]
async fn a_server_may_know_us_by_a_file_of_credentials() {
    let resolver = format!("resolver: MEMORY\nresolver_preload: {{ {ACCOUNT}: {OF_THE_ACCOUNT} }}");
    let server = NatsServer::configured(&format!("operator: {OPERATOR}\n{resolver}")).await;
    let options = || Nats::options(&server.url()).unwrap();
    let file = std::env::temp_dir().join(format!("endpoint-nats-{}.creds", std::process::id()));
    let write = |jwt: &str, seed: &str| {
        let jwt = format!("-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n");
        let seed = format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n");
        std::fs::write(&file, format!("{jwt}\n{seed}")).unwrap();
    };
    write(OF_THE_USER, SEED);
    works(options().credentials_file(&file).unwrap()).await;
    write(OF_THE_USER, ANOTHERS_SEED);
    is_refused(options().credentials_file(&file).unwrap(), &server).await;
    is_refused(options(), &server).await;
    std::fs::write(&file, "nothing of that kind").unwrap();
    for path in [file.clone(), file.with_extension("missing")] {
        let error = options().credentials_file(&path).unwrap_err();
        assert!(matches!(error, EngineError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_server_that_is_down_is_passed_over() {
    let (mut down, server) = (NatsServer::start().await, NatsServer::start().await);
    down.kill().await;
    works(Nats::options(&format!("{}, {}", down.url(), server.url())).unwrap()).await;
}
