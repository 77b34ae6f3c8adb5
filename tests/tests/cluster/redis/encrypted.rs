//! `rediss://`: the server has to show a certificate that this machine trusts.

use std::env;

use endpoint_runtime::cluster::{Channel, Redis};
use endpoint_tests::redis_server::RedisServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::Node;

/// What says to the test where the server is: then it is run by itself, and this machine trusts the authority.
const URL: &str = "TEST_OF_ENCRYPTED_REDIS";

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_connection_works() {
    if let Ok(url) = env::var(URL) {
        let mut node = Node::at(&url).await;
        node.subscribe(&[Channel::All]).await;
        assert_eq!(node.publish(&Channel::All, "secret").await, Some(1));
        assert_eq!(node.text().await, "secret");
        return;
    }
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let folder = env::temp_dir().join(format!("endpoint-rediss-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, pem: String| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let (trusted, chain) = (file("authority.pem", authority.pem()), file("chain.pem", certificate.pem()));
    let key = file("key.pem", key.serialize_pem());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port().to_string();
    let _server = RedisServer::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &trusted,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let url = format!("rediss://localhost:{port}");
    // As long as nobody trusts the authority.
    assert!(Redis::connect(&url).await.is_err());
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "redis::encrypted::an_encrypted_connection_works"])
        .envs([(URL, &url), ("SSL_CERT_FILE", &trusted)])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
    std::fs::remove_dir_all(&folder).unwrap();
}
