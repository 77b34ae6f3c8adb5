//! Endpoints that are to be had encrypted only, and a client of ours that brings its token there.

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{Address, Client, ClientTls, Listen, Settings, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{User, token, tokens};

/// Turns away who does not come encrypted (Jakarta's transport guarantee `CONFIDENTIAL`).
#[derive(Default)]
struct Confidential;

impl Configurator for Confidential {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        if handshake.is_secure() { Ok(()) } else { Err(Refusal::forbidden("connect with wss://")) }
    }
}

#[server_endpoint("/letters", configurator = Confidential)]
struct Letters;

#[handlers]
impl Letters {
    #[on_open]
    fn open(&self, who: Principal<User>, session: &Session) -> String {
        format!("{} {}", who.0, session.is_secure())
    }
}

#[server_endpoint("/postcards")]
struct Postcards;

#[handlers]
impl Postcards {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        session.is_secure().to_string()
    }
}

/// Passes on what it hears.
struct Ear(UnboundedSender<String>);

impl Endpoint for Ear {
    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        let _ = self.0.send(message.as_text().unwrap_or_default().to_owned());
        Ok(())
    }
}

/// What the server says first, or the status with which it refuses.
async fn hear(client: &Client, url: &str) -> std::result::Result<String, u16> {
    let (told, mut heard) = unbounded_channel();
    match client.connect(Ear(told), url).await {
        Ok(_session) => Ok(heard.recv().await.unwrap()),
        Err(error) => match error.status() {
            Some(status) => Err(status.as_u16()),
            None => panic!("{error}"),
        },
    }
}

/// EE-04: `wss` only, or both, on ports side by side.
#[tokio::test]
async fn an_endpoint_is_to_be_had_encrypted_only() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let server = runtime::export_all()
        .settings(Settings::default())
        .only(|config| config.is::<Letters>() || config.is::<Postcards>())
        .bearer(tokens())
        .bind(Listen::on("127.0.0.1:0").tls(Tls::pem(certificate.pem(), key.serialize_pem())))
        .bind(Listen::on("127.0.0.1:0").plain())
        .start()
        .await
        .unwrap();
    let port = |index: usize| match &server.addresses()[index] {
        Address::Tcp(address) => address.port(),
        other => panic!("{other}"),
    };
    let client = runtime::client().tls(ClientTls::roots_pem(authority.pem()));
    let bo = client.clone().bearer(&token("bo"));
    let (wss, ws) = (format!("wss://localhost:{}", port(0)), format!("ws://localhost:{}", port(1)));
    let table = [
        (&bo, &wss, "/letters", Ok("bo true")),
        (&bo, &ws, "/letters", Err(403)),
        (&client, &wss, "/letters", Err(401)),
        (&client, &wss, "/postcards", Ok("true")),
        (&client, &ws, "/postcards", Ok("false")),
    ];
    for (client, base, path, expected) in table {
        let heard = hear(client, &format!("{base}{path}")).await;
        assert_eq!(heard, expected.map(str::to_owned), "{base}{path}");
    }
}
