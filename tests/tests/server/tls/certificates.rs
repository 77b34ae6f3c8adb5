//! The server's certificate: read at the start or a problem of the deployment, and read again when its files have changed.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use endpoint_runtime::rustls::pki_types::CertificateDer;
use endpoint_runtime::{
    ClientAuthorities, ClientCertificates, DeployError, Error, Listen, ServerEndpointExporter, Tls,
};

use super::authority::{Authority, Issued, shake_hands};
use super::{open, says_back};
use crate::support::{Directory, Echo, capture, only, soon, start};

// ---- what is wrong at the start

/// The problems that are found, as `check` tells them, and as `start` does.
async fn problems(exporter: ServerEndpointExporter) -> Vec<String> {
    let report = exporter.check();
    let told: Vec<String> = report.problems().iter().map(ToString::to_string).collect();
    match exporter.start().await {
        Err(Error::Deploy(error)) => assert_eq!(error.problems(), report.problems()),
        other => panic!("{other:?}, and {told:?} was found"),
    }
    told
}

fn days(count: i64) -> impl FnOnce(&mut rcgen::CertificateParams) {
    let (early, late) = (rcgen::date_time_ymd(1999, 12, 31), rcgen::date_time_ymd(2999, 12, 31));
    move |params| match count {
        // Long gone.
        ..0 => (params.not_before, params.not_after) = (early, rcgen::date_time_ymd(2000, 1, 2)),
        // Yet to come.
        _ => (params.not_before, params.not_after) = (rcgen::date_time_ymd(2999, 1, 1), late),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_with_the_file() {
    let authority = Authority::new();
    let (chain, key) = authority.issue_pem("localhost");
    let (_, other_key) = authority.issue_pem("localhost");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let directory = Directory::new()
        .with("good.pem", &chain)
        .with("good.key", &key)
        .with("other.key", &other_key)
        .with("empty.pem", "")
        .with("nonsense.pem", nonsense)
        .with("torn.pem", &chain[..chain.len() / 2]);
    let file = |name: &str| directory.file(name);
    let shown = |name: &str| directory.file(name).display().to_string();
    let table: &[(&str, &str, &[String])] = &[
        (
            "none.pem",
            "none.key",
            &[
                format!(
                    "TLS: the certificate `{}` cannot be read: No such file or directory (os error 2)",
                    shown("none.pem")
                ),
                format!(
                    "TLS: the private key `{}` cannot be read: No such file or directory (os error 2)",
                    shown("none.key")
                ),
            ],
        ),
        (
            "good.key",
            "good.pem",
            &[
                format!("TLS: the certificate `{}`: there is no certificate in it", shown("good.key")),
                format!("TLS: the private key `{}`: there is no private key in it", shown("good.pem")),
            ],
        ),
        (
            "empty.pem",
            "good.key",
            &[format!("TLS: the certificate `{}`: there is no certificate in it", shown("empty.pem"))],
        ),
        (
            "good.pem",
            "other.key",
            &[format!(
                "TLS: the certificate `{}` and the private key `{}` do not belong together",
                shown("good.pem"),
                shown("other.key")
            )],
        ),
    ];
    for (chain, key, expected) in table {
        let found = problems(only::<Echo>().tls(Tls::pem_files(file(chain), file(key)))).await;
        assert_eq!(found, *expected, "{chain} {key}");
    }
    for broken in ["nonsense.pem", "torn.pem"] {
        let found = problems(only::<Echo>().tls(Tls::pem_files(file(broken), file("good.key")))).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("TLS: the certificate `{}`", shown(broken))), "{found:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_today_is_a_problem() {
    let authority = Authority::new();
    for (when, told) in
        [(-1, "TLS: the certificate has expired, "), (1, "TLS: the certificate is not valid yet, but in ")]
    {
        let Issued { chain, key, .. } = authority.issue("localhost", days(when));
        let found = problems(only::<Echo>().tls(Tls::pem(chain, key.serialize_pem()))).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(told) && found[0].contains(" days"), "{found:?}");
    }
}

/// Those of all listeners and of the rest come at once, and each once.
#[tokio::test]
async fn all_problems_come_at_once() {
    let authority = Authority::new();
    let broken = Tls::pem("no certificate", authority.issue_pem("localhost").1);
    let clients = ClientAuthorities::pem("nobody");
    let strict = authority.tls().client_certificates(ClientCertificates::Required, clients);
    let exporter = only::<Echo>()
        .tls(broken.clone())
        .bind(Listen::on("127.0.0.1:0").tls(broken.clone()))
        .bind(Listen::on("127.0.0.1:0").tls(strict))
        .configure(|settings| settings.drain_batch = 0)
        .expect_paths(["/nowhere"]);
    let found = problems(exporter).await;
    let [settings, certificate, authorities, path] = found.as_slice() else { panic!("{found:#?}") };
    assert!(settings.starts_with("`drain_batch`: "), "{settings}");
    assert_eq!(certificate, "TLS: the certificate: there is no certificate in it");
    assert_eq!(authorities, "TLS: the authorities of clients: there is no certificate in it");
    assert!(path.contains("/nowhere"), "{path}");
}

#[tokio::test]
async fn settings_that_say_half_are_a_problem() {
    let exporter = only::<Echo>().configure(|settings| settings.tls_key = Some("server.key".into()));
    let expected = "`tls_key`: it needs its certificate: write `tls_certificate` too";
    assert_eq!(problems(exporter).await, [expected]);
    // What is said in the program replaces what the settings say, if that makes sense at all.
    let authority = Authority::new();
    let exporter = only::<Echo>().tls(authority.tls()).configure(|settings| {
        settings.tls_certificate = Some("nowhere.pem".into());
        settings.tls_key = Some("nowhere.key".into());
    });
    let server = start(exporter).await;
    says_back(&mut open(&server, &authority, "/echo").await, "by the program's").await;
}

// ---- what changes while it runs

/// A certificate in two files.
struct Files(Directory);

impl Files {
    fn new(authority: &Authority) -> Self {
        let files = Files(Directory::new());
        files.write(&authority.issue("localhost", |_| {}));
        files
    }

    fn write(&self, issued: &Issued) {
        self.write_chain(&issued.chain);
        self.write_key(&issued.key.serialize_pem());
    }

    fn write_chain(&self, text: &str) {
        replace(&self.0.file("server.pem"), text);
    }

    fn write_key(&self, text: &str) {
        replace(&self.0.file("server.key"), text);
    }

    fn tls(&self) -> Tls {
        Tls::pem_files(self.0.file("server.pem"), self.0.file("server.key"))
    }
}

/// As those write it who have others read it meanwhile.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, file).unwrap();
}

/// What a newcomer is shown.
async fn shown(address: SocketAddr, authority: &Authority) -> CertificateDer<'static> {
    let stream = shake_hands(address, authority.client()).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// A certificate of another length than that of [`Files::new`], so that it is another file whenever it is written.
fn longer(authority: &Authority) -> Issued {
    authority.issue("localhost", |params| {
        let name = rcgen::string::Ia5String::try_from("another.name.of.this.server.example").unwrap();
        params.subject_alt_names.push(rcgen::SanType::DnsName(name));
    })
}

#[tokio::test]
async fn a_new_certificate_is_for_newcomers_and_disturbs_nobody() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let tls = files.tls();
    let exporter = only::<Echo>()
        .tls(tls.clone())
        .bind(Listen::on("127.0.0.1:0").tls(tls.clone()))
        .configure(|settings| settings.tls_reload_interval = None);
    let server = start(exporter).await;
    let mut there = open(&server, &authority, "/echo").await;
    let mut last = shown(server.local_addr(), &authority).await;
    // By the server, and by the handle.
    let ways: [&dyn Fn() -> endpoint_runtime::Result<()>; 2] = [&|| server.reload_tls(), &|| tls.reload()];
    for reload in ways {
        let new = longer(&authority);
        files.write(&new);
        assert_eq!(shown(server.local_addr(), &authority).await, last, "nobody has looked yet");
        reload().unwrap();
        for address in server.addresses() {
            let endpoint_runtime::Address::Tcp(address) = address else { panic!("{address}") };
            assert_eq!(shown(*address, &authority).await, new.certificate);
        }
        says_back(&mut there, "still there").await;
        says_back(&mut open(&server, &authority, "/echo").await, "and come anew").await;
        last = new.certificate;
    }
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_certificate() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let server = start(only::<Echo>().tls(files.tls())).await;
    let before = shown(server.local_addr(), &authority).await;
    let mut there = open(&server, &authority, "/echo").await;
    for broken in ["", &authority.issue_pem("localhost").1] {
        files.write_key(broken);
        let error = server.reload_tls().unwrap_err().to_string();
        assert!(error.contains("server.key"), "{error}");
        assert_eq!(shown(server.local_addr(), &authority).await, before);
        says_back(&mut there, "still there").await;
    }
    // A server that starts now does not.
    let again = only::<Echo>().tls(files.tls()).start().await;
    assert!(matches!(again, Err(Error::Deploy(DeployError { .. }))), "{again:?}");
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let logged = capture();
    let authority = Authority::new();
    let files = Files::new(&authority);
    let exporter = only::<Echo>()
        .tls(files.tls())
        .configure(|settings| settings.tls_reload_interval = Some(Duration::from_millis(20)));
    let server = start(exporter).await;
    let mut there = open(&server, &authority, "/echo").await;
    let new = longer(&authority);
    files.write(&new);
    let noticed = async {
        while shown(server.local_addr(), &authority).await != new.certificate {
            tokio::task::yield_now().await;
        }
    };
    soon("the new certificate", noticed).await;
    // One that cannot be used is told, once, and not used.
    files.write_chain("no certificate any more");
    let told = async {
        while logged.saying("the new certificate cannot be used, the old one stays").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the line in the log", told).await;
    assert_eq!(shown(server.local_addr(), &authority).await, new.certificate);
    // And when it is good again, that is noticed too.
    files.write(&authority.issue("localhost", |_| {}));
    let repaired = async {
        while shown(server.local_addr(), &authority).await == new.certificate {
            tokio::task::yield_now().await;
        }
    };
    soon("the next certificate", repaired).await;
    says_back(&mut there, "all the time").await;
    let lines = logged.saying("the new certificate cannot be used, the old one stays");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].field("problems").is_some_and(|problems| problems.contains("server.pem")), "{lines:?}");
}
