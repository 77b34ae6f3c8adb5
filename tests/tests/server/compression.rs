//! Compression as a server agrees on it: which offers it accepts, in which words, and who may have it otherwise.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Endpoint, Extension, ServerEndpointConfigBuilder, ServerEndpointExporter, Settings};

use super::support::{Raw, capture, only, only_these, start, upgrade};

const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Says what was agreed on.
struct Agreed;

impl Endpoint for Agreed {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let agreed: Vec<_> = session.extensions().iter().map(ToString::to_string).collect();
        Ok(session.send(agreed.join(", ")).await?)
    }
}

fn agreed() -> ServerEndpointConfigBuilder {
    ServerEndpointConfig::builder("/agreed", || Agreed)
}

/// The answer to these header lines, which must be what the session says too.
async fn answer(exporter: ServerEndpointExporter, path: &str, lines: &[&str]) -> Option<String> {
    let server = start(exporter).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(upgrade(path, lines)).await;
    assert_eq!(answer.status, 101, "{lines:?}");
    let header = answer.header("sec-websocket-extensions").map(str::to_owned);
    assert_eq!(raw.text().await, header.clone().unwrap_or_default(), "{lines:?}");
    header
}

async fn answer_to(config: ServerEndpointConfigBuilder, offer: &str) -> Option<String> {
    let line = format!("Sec-WebSocket-Extensions: {offer}");
    answer(only_these([config.build()]), "/agreed", &[&line]).await
}

#[tokio::test]
async fn the_first_offer_that_can_be_is_accepted_wherever_it_stands() {
    let table: &[(&[&str], Option<&str>)] = &[
        (&[], None),
        (&["Sec-WebSocket-Extensions: permessage-deflate"], Some(PLAIN)),
        (&["sec-websocket-extensions: permessage-deflate; client_max_window_bits"], Some(PLAIN)),
        // Declined, and no error.
        (&["Sec-WebSocket-Extensions: permessage-deflate; unheard_of=1"], None),
        (&["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"], None),
        (
            &["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, permessage-deflate"],
            Some(PLAIN),
        ),
        // Several lines are one list.
        (
            &[
                "Sec-WebSocket-Extensions: permessage-deflate; mux",
                "Sec-WebSocket-Extensions: x-none",
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"10\"",
                "Sec-WebSocket-Extensions: permessage-deflate",
            ],
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
            ),
        ),
    ];
    for (lines, expected) in table {
        let found = answer(only_these([agreed().build()]), "/agreed", lines).await;
        assert_eq!(found.as_deref(), *expected, "{lines:?}");
    }
}

#[tokio::test]
async fn an_endpoint_says_whether_and_how() {
    let offer = "permessage-deflate; client_max_window_bits=12";
    let table = [
        (
            Compression::On,
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12",
            ),
        ),
        (Compression::Context, Some("permessage-deflate; client_max_window_bits=12")),
        (Compression::Off, None),
    ];
    for (compression, expected) in table {
        assert_eq!(answer_to(agreed().compression(compression), offer).await.as_deref(), expected);
        // So do the settings, if the endpoint says nothing.
        let settings = |exporter: ServerEndpointExporter| {
            let mut settings = Settings::default();
            settings.compression = compression;
            exporter.settings(settings)
        };
        let line = format!("Sec-WebSocket-Extensions: {offer}");
        let found = answer(settings(only_these([agreed().build()])), "/agreed", &[&line]).await;
        assert_eq!(found.as_deref(), expected, "{compression}");
        let own = agreed().compression(Compression::Context).build();
        let found = answer(settings(only_these([own])), "/agreed", &[&line]).await;
        assert_eq!(found.as_deref(), Some("permessage-deflate; client_max_window_bits=12"), "{compression}");
    }
}

macro_rules! annotated {
    ($($name:ident $path:literal ($($argument:tt)*) $expected:expr;)*) => {
        $(
            #[server_endpoint($path $($argument)*)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_open]
                fn open(&self, session: &Session) -> String {
                    session.extensions().iter().map(ToString::to_string).collect()
                }
            }
        )*

        #[tokio::test]
        async fn an_annotation_says_it_too() {
            $(
                let found = answer(only::<$name>(), $path, &["Sec-WebSocket-Extensions: permessage-deflate"]);
                assert_eq!(found.await.as_deref(), $expected, $path);
            )*
        }
    };
}

annotated! {
    Silent "/compression/silent" () Some(PLAIN);
    On "/compression/on" (, compression = on) Some(PLAIN);
    Context "/compression/context" (, compression = context) Some("permessage-deflate");
    Off "/compression/off" (, compression = off) None;
}

#[tokio::test]
async fn it_stands_among_other_extensions_in_requested_order() {
    let builder = || agreed().extensions([Extension::new("x-one"), Extension::new("x-two")]);
    let table = [
        ("x-two, permessage-deflate, x-one", Some(format!("x-two, {PLAIN}, x-one"))),
        ("permessage-deflate; a, x-one, permessage-deflate", Some(format!("{PLAIN}, x-one"))),
        ("permessage-deflate; a, x-one", Some("x-one".to_owned())),
    ];
    for (offered, expected) in table {
        assert_eq!(answer_to(builder(), offered).await, expected, "{offered}");
    }
}

/// Chooses what it is made with, and tells what it was asked.
struct Chooses(Choose);

type Choose = fn(&[Extension], &[Extension]) -> Vec<Extension>;

impl Configurator for Chooses {
    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        self.0(installed, requested)
    }
}

#[tokio::test]
async fn a_configurator_may_leave_it_out_but_not_change_it() {
    let logged = capture();
    let offer =
        "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_no_context_takeover";
    let table: [(&str, Choose, Option<&str>, usize); 7] = [
        ("left out", |_, _| Vec::new(), None, 0),
        ("as it is installed", |installed, _| installed.to_vec(), Some(PLAIN), 0),
        ("as it was offered first", |_, requested| requested[..1].to_vec(), Some(PLAIN), 0),
        ("as it was offered then", |_, requested| requested[1..].to_vec(), Some(PLAIN), 0),
        ("as it is answered", |_, _| Extension::parse_list(PLAIN).unwrap(), Some(PLAIN), 0),
        (
            "changed",
            |_, _| vec![Extension::new("permessage-deflate").with("server_max_window_bits", "9")],
            None,
            1,
        ),
        ("twice", |_, requested| requested.to_vec(), Some(PLAIN), 1),
    ];
    for (name, choose, expected, warnings) in table {
        let found = answer_to(agreed().configurator(Chooses(choose)), offer).await;
        assert_eq!(found.as_deref(), expected, "{name}");
        let warned =
            logged.loud().into_iter().filter(|line| line.message.contains("cannot be agreed on")).count();
        assert_eq!(warned, warnings, "{name}");
        logged.forget();
    }
}

#[tokio::test]
async fn a_configurator_sees_it_unless_it_is_off() {
    let asserts: [(Compression, Choose); 2] = [
        (Compression::Context, |installed, _| {
            assert_eq!(installed, [Extension::new("x-one"), Extension::new("permessage-deflate")]);
            Vec::new()
        }),
        (Compression::Off, |installed, requested| {
            assert_eq!(installed, [Extension::new("x-one")]);
            requested.to_vec()
        }),
    ];
    for (compression, choose) in asserts {
        let config = agreed().extensions([Extension::new("x-one")]).compression(compression);
        assert_eq!(answer_to(config.configurator(Chooses(choose)), "permessage-deflate").await, None);
    }
}

#[tokio::test]
async fn it_is_no_extension_of_an_endpoint_and_the_problem_says_what_to_write() {
    let config = agreed().extensions([Extension::new("permessage-deflate").with("x", None)]).build();
    let report = only_these([config]).check();
    assert_eq!(report.problems().len(), 1);
    let problem = report.problems()[0].to_string();
    assert!(problem.contains("`permessage-deflate; x`") && problem.contains("`compression`"), "{problem}");
}
