//! Certificates of clients: required or optional, shown or not, signed by whom it should be or not; and what handlers learn of them
//! (Jakarta HS-07).

use endpoint_runtime::prelude::*;
use endpoint_runtime::rustls::HandshakeKind;
use endpoint_runtime::rustls::pki_types::CertificateDer;
use endpoint_runtime::{ClientAuthorities, ClientCertificates, Listen, Server};

use super::authority::{Authority, Issued, refusal, shake_hands};
use crate::support::{Answer, Directory, Raw, only, start, text, upgrade};

/// Admits who has shown a certificate or knows the word, and leaves its length for the handlers.
#[derive(Default)]
struct Doorkeeper;

impl Configurator for Doorkeeper {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        if !handshake.is_secure() {
            return Err(Refusal::forbidden("over TLS only"));
        }
        let shown = handshake.client_certificates().first().map(|own| own.len());
        match shown {
            Some(length) => {
                handshake.attributes().insert(length);
                Ok(())
            }
            None if handshake.query() == Some("open-sesame") => Ok(()),
            None => Err(Refusal::forbidden("a certificate, please")),
        }
    }
}

/// Says in hexadecimal digits what the client has shown.
#[server_endpoint("/tls/badge", configurator = Doorkeeper)]
struct Badge;

#[handlers]
impl Badge {
    #[on_message]
    fn show(&self, _: &str, session: &Session) -> String {
        let shown = session.handshake().client_certificates();
        let own = shown.first().map(|own| own.len());
        assert_eq!(session.attributes().get::<usize>(), own);
        shown.iter().map(hex).collect::<Vec<_>>().join(" ")
    }
}

fn hex(certificate: &CertificateDer<'_>) -> String {
    certificate.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server, its authority, and that of its clients.
struct Stage {
    server: Server,
    own: Authority,
    clients: Authority,
}

impl Stage {
    async fn new(certificates: ClientCertificates) -> Self {
        let (own, clients) = (Authority::new(), Authority::new());
        let tls = own.tls().client_certificates(certificates, ClientAuthorities::pem(clients.pem()));
        let server = start(only::<Badge>().tls(tls)).await;
        Stage { server, own, clients }
    }

    /// The answer to a client that shows this certificate, or none.
    async fn ask(&self, own: Option<&Issued>, path: &str) -> (Raw, Answer) {
        let client = own.map_or_else(|| self.own.client(), |own| self.own.client_as(own));
        let stream = shake_hands(self.server.local_addr(), client).await.unwrap();
        let mut raw = Raw::over(stream);
        let answer = raw.ask(upgrade(path, &[])).await;
        (raw, answer)
    }

    /// What the endpoint has seen of a client that shows this certificate.
    async fn seen(&self, own: &Issued) -> String {
        let (mut raw, answer) = self.ask(Some(own), "/tls/badge").await;
        assert_eq!(answer.status, 101);
        raw.send(text("?")).await;
        raw.text().await
    }

    async fn refusal(&self, own: Option<&Issued>) -> String {
        let client = own.map_or_else(|| self.own.client(), |own| self.own.client_as(own));
        refusal(self.server.local_addr(), client).await
    }
}

#[tokio::test]
async fn a_certificate_that_is_shown_reaches_the_handshake() {
    for certificates in [ClientCertificates::Required, ClientCertificates::Optional] {
        let stage = Stage::new(certificates).await;
        for name in ["bo", "someone with a longer name"] {
            let own = stage.clients.issue(name, |_| {});
            assert_eq!(stage.seen(&own).await, hex(&own.certificate), "{certificates}");
        }
    }
}

#[tokio::test]
async fn who_shows_none_is_turned_away_where_one_is_required() {
    let stage = Stage::new(ClientCertificates::Required).await;
    let refused = stage.refusal(None).await;
    assert!(refused.contains("CertificateRequired"), "{refused}");
}

#[tokio::test]
async fn who_shows_none_is_let_in_where_it_is_optional() {
    let stage = Stage::new(ClientCertificates::Optional).await;
    let (_, answer) = stage.ask(None, "/tls/badge").await;
    assert_eq!((answer.status, answer.body.trim_end()), (403, "a certificate, please"));
    let (mut raw, answer) = stage.ask(None, "/tls/badge?open-sesame").await;
    assert_eq!(answer.status, 101);
    raw.send(text("?")).await;
    assert_eq!(raw.text().await, "");
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_either_way() {
    for certificates in [ClientCertificates::Required, ClientCertificates::Optional] {
        let stage = Stage::new(certificates).await;
        let stranger = Authority::new().issue("bo", |_| {});
        let refused = stage.refusal(Some(&stranger)).await;
        assert!(refused.contains("UnknownCA"), "{certificates}: {refused}");
        let late = stage.clients.issue("bo", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
        let refused = stage.refusal(Some(&late)).await;
        assert!(refused.contains("CertificateExpired"), "{certificates}: {refused}");
    }
}

/// A resumed session would not look at the certificate again.
#[tokio::test]
async fn nobody_resumes_who_has_shown_a_certificate() {
    let stage = Stage::new(ClientCertificates::Required).await;
    let own = stage.clients.issue("bo", |_| {});
    let client = stage.own.client_as(&own);
    for _ in 0..2 {
        let stream = shake_hands(stage.server.local_addr(), client.clone()).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        let mut raw = Raw::over(stream);
        assert_eq!(raw.ask(upgrade("/tls/badge", &[])).await.status, 101);
        raw.send(text("?")).await;
        assert_eq!(raw.text().await, hex(&own.certificate));
    }
}

/// What is to be had encrypted only (Jakarta EE-04) is refused without, by whoever looks.
#[tokio::test]
async fn an_endpoint_may_be_had_over_tls_only() {
    let own = Authority::new();
    let exporter = only::<Badge>().tls(own.tls()).bind(Listen::on("127.0.0.1:0").plain());
    let server = start(exporter).await;
    let [_, endpoint_runtime::Address::Tcp(plain)] = server.addresses() else { panic!("{server:?}") };
    let answer = Raw::connect(*plain).await.ask(upgrade("/tls/badge?open-sesame", &[])).await;
    assert_eq!((answer.status, answer.body.trim_end()), (403, "over TLS only"));
    let stream = shake_hands(server.local_addr(), own.client()).await.unwrap();
    assert_eq!(Raw::over(stream).ask(upgrade("/tls/badge?open-sesame", &[])).await.status, 101);
}

/// The same from the settings, where authorities and all stand in files.
#[tokio::test]
async fn the_settings_ask_for_certificates_too() {
    let (own, clients) = (Authority::new(), Authority::new());
    let (chain, key) = own.issue_pem("localhost");
    let directory = Directory::new().with("own.pem", &(chain + &key)).with("clients.pem", &clients.pem());
    let [identity, authorities] = ["own.pem", "clients.pem"].map(|name| directory.file(name));
    let exporter = only::<Badge>().configure(move |settings| {
        settings.tls_certificate = Some(identity.clone());
        settings.tls_key = Some(identity.clone());
        settings.tls_client_authorities = Some(authorities.clone());
    });
    let stage = Stage { server: start(exporter).await, own, clients };
    let bo = stage.clients.issue("bo", |_| {});
    assert_eq!(stage.seen(&bo).await, hex(&bo.certificate));
    let refused = stage.refusal(None).await;
    assert!(refused.contains("CertificateRequired"), "{refused}");
}
