//! The server that browsers are let loose on, over TLS with a certificate of an authority that is made at the start (`tests/browser`).
//!
//! It listens on `127.0.0.1:$PORT`, and writes the authority's certificate to its standard output, in PEM.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use runtime::Tls;
use runtime::prelude::*;

/// Says how the browser has come here, and then everything back.
#[server_endpoint("/seen", subprotocols = ["seen.v1"])]
struct Seen;

#[handlers]
impl Seen {
    #[on_open]
    fn open(&self, handshake: &Handshake) -> String {
        let peer = handshake.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
        format!(
            "{:?} {} {peer}",
            handshake.version(),
            if handshake.is_secure() { "encrypted" } else { "plain" }
        )
    }

    /// But to this it says no more.
    #[on_message]
    async fn text(&self, text: Text, session: &Session) -> Result<Option<Text>> {
        if &*text == "that is all" {
            session.close(CloseReason::new(4002, "as you like")).await?;
            return Ok(None);
        }
        Ok(Some(text))
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority of these tests");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    // The whole chain: the browser is told by the authority's key whom it may trust.
    let chain = certificate.pem() + &authority.pem();
    println!("{}", authority.pem());
    let port = std::env::var("PORT")?;
    runtime::export_all()
        .tls(Tls::pem(chain, key.serialize_pem()))
        .bind(format!("127.0.0.1:{port}"))
        .configure(|settings| settings.max_message_size = 1 << 20)
        .serve()
        .await
}
