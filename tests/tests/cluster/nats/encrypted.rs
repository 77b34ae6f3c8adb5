//! `tls://`: the server has to show a certificate that is trusted, and we may have to show one, too.

use std::env;

use endpoint_runtime::cluster::{EngineError, Nats};
use endpoint_tests::nats_server::NatsServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::process::Command;

use super::access::works;

/// What says to the test where the server is: then it is run by itself, and this machine trusts the authority.
const URL: &str = "TEST_OF_ENCRYPTED_NATS";

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_connection_works() {
    if let Ok(url) = env::var(URL) {
        return works(Nats::options(&url).unwrap()).await;
    }
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let folder = env::temp_dir().join(format!("endpoint-nats-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, pem: String| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let (trusted, chain) = (file("authority.pem", authority.pem()), file("chain.pem", certificate.pem()));
    let key = file("key.pem", key.serialize_pem());
    let server = NatsServer::with(&["--tls", "--tlscert", &chain, "--tlskey", &key]).await;
    let url = format!("tls://localhost:{}", server.address().port());
    // As long as nobody trusts the authority.
    let error = Nats::connect(&url).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    works(Nats::options(&url).unwrap().authority(&trusted)).await;
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nats::encrypted::an_encrypted_connection_works"])
        .envs([(URL, &url), ("SSL_CERT_FILE", &trusted)])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && output.contains("1 passed"), "{output}");

    // One that wants to see who we are, and takes our certificate for the same authority.
    let server = NatsServer::with(&[
        "--tls",
        "--tlscert",
        &chain,
        "--tlskey",
        &key,
        "--tlscacert",
        &trusted,
        "--tlsverify",
    ])
    .await;
    let options = || {
        let url = format!("nats://localhost:{}", server.address().port());
        Nats::options(&url).unwrap().authority(&trusted)
    };
    assert!(options().connect().await.is_err());
    works(options().certificate(&chain, &key)).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
