//! The steps of Spring's `ServerEndpointExporter` in a starting context, each by its number where it has an equal here.
//!
//! | # | Spring | here |
//! |---|---|---|
//! | 1 | three hooks: aware, `afterPropertiesSet`, `afterSingletonsInstantiated` | [`step_1_three_hooks_in_their_order`] |
//! | 2 | an explicit list wins over discovery | [`step_2_what_is_explicit_wins`] |
//! | 3 | a context is set once, and never another | [`step_3_a_component_is_given_its_own_context_once`] |
//! | 4, 5 | `initServletContext`, `setServletContext` | none: the server is the container, and is never missing |
//! | 6 | `afterPropertiesSet` asserts a container | as 4; what can be missing is in `rules::rule_2` |
//! | 7 | all other singletons that are not lazy are created | [`step_7_what_nobody_needs_is_built_too`] |
//! | 8 | registered once, before the server accepts | [`step_8_endpoints_are_mounted_once_and_before_the_port_opens`] |
//! | 8a | types only, nothing instantiated; ordered; each class once | `rules::rule_1`, `rules::rule_3` |
//! | 8b | a bad endpoint is named | [`step_8b_a_bad_endpoint_is_named_with_its_reason`] |
//! | 8c | programmatic endpoints beside annotated ones | [`step_8c_programmatic_endpoints_are_deployed_beside_annotated_ones`] |
//! | 9 | the first exception stops and destroys; nothing listens | [`step_9_a_failure_destroys_and_nothing_listens`] |
//! | 10 | the port opens, then the events | `rules::rule_6`, [`step_10_a_port_in_use_is_the_last_that_can_fail`] |

use std::sync::{Arc, Mutex};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig, ServerEndpointConfig};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Diary, Echo, Misdeed, Step, at, empty, nothing, part, refused, soon, these, wicked};

#[tokio::test]
async fn step_1_three_hooks_in_their_order() {
    let diary = Diary::default();
    let hook = diary.clone();
    let exporter = empty().component(part::<1>(&diary, nothing)).before_listening(|_| async move {
        hook.note("all stand");
        Ok(())
    });
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    assert_eq!(diary.take(), ["Build 1", "Aware 1", "Settle 1", "all stand", "Destroy 1"]);
}

#[server_endpoint("/spring/both", send_buffer = 1000)]
struct Both;

#[handlers]
impl Both {
    #[on_message]
    fn message(&self, text: Text) -> Text {
        text
    }
}

#[tokio::test]
async fn step_2_what_is_explicit_wins() {
    let explicit = ServerEndpointConfig::of::<Both>();
    let exporter =
        runtime::export_all().endpoint(explicit).only(endpoint_runtime::ServerEndpointConfig::is::<Both>);
    assert_eq!(exporter.check().endpoints().len(), 1, "found and given, and deployed once");
}

#[tokio::test]
async fn step_3_a_component_is_given_its_own_context_once() {
    #[derive(Default)]
    struct Aware(Mutex<Vec<ApplicationContext>>);
    impl ContextAware for Aware {
        fn set_application_context(&self, context: &ApplicationContext) {
            self.0.lock().unwrap().push(context.clone());
        }
    }
    let config =
        ComponentConfig::new("Aware", "tests", at(1), |_| async { Ok(Aware::default()) }).aware::<Aware>();
    let mut servers = Vec::new();
    for number in [1u8, 2] {
        let (told, tell) = tokio::sync::oneshot::channel();
        let exporter =
            empty().provide(number).component(config.clone()).before_listening(|context| async move {
                let _ = told.send(context.get::<Aware>()?);
                Ok(())
            });
        servers.push((number, soon("the start", exporter.start()).await.unwrap(), tell.await.unwrap()));
    }
    for (number, server, aware) in servers {
        let contexts = aware.0.lock().unwrap().clone();
        assert_eq!(contexts.len(), 1);
        assert_eq!(*contexts[0].get::<u8>().unwrap(), number, "its own server's");
        assert!(Arc::ptr_eq(&contexts[0].get::<Aware>().unwrap(), &aware));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn step_7_what_nobody_needs_is_built_too() {
    let diary = Diary::default();
    let exporter = empty().component(part::<1>(&diary, nothing)).component(part::<2>(&diary, nothing).lazy());
    let server = soon("the start", exporter.start()).await.unwrap();
    assert_eq!(diary.take(), ["Build 1", "Aware 1", "Settle 1"]);
    server.shutdown().await;
}

#[tokio::test]
async fn step_8_endpoints_are_mounted_once_and_before_the_port_opens() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let diary = Diary::default();
    let hook = diary.clone();
    let echo = ServerEndpointConfig::builder("/spring/echo", || Echo).build();
    let exporter = runtime::export_all()
        .settings(runtime::Settings::default())
        .endpoint(echo)
        .only(|endpoint| endpoint.path() == "/spring/echo")
        .bind(address.to_string())
        .before_listening(move |_| async move {
            hook.note(format!("open: {}", TcpStream::connect(address).await.is_ok()));
            Ok(())
        });
    let server = soon("the start", exporter.start()).await.unwrap();
    assert_eq!(diary.take(), ["open: false"]);
    assert_eq!(server.container().endpoints().len(), 1);
    assert!(runtime::client().connect(Echo, format!("ws://{address}/spring/echo")).await.is_ok());
    server.shutdown().await;
}

#[tokio::test]
async fn step_8b_a_bad_endpoint_is_named_with_its_reason() {
    let config = ServerEndpointConfig::builder("/spring/{x", || Echo).build();
    let place = config.place();
    let error = refused(these([config])).await.to_string();
    assert!(error.contains(&format!("Echo ({place}): \"/spring/{{x\": ")), "{error}");
}

#[tokio::test]
async fn step_8c_programmatic_endpoints_are_deployed_beside_annotated_ones() {
    let echo = ServerEndpointConfig::builder("/spring/echo", || Echo).build();
    let app = runtime::test::app().with(|_| these([echo, ServerEndpointConfig::of::<Both>()])).start().await;
    for path in ["/spring/both", "/spring/echo"] {
        let mut peer = app.connect(path).await.unwrap();
        peer.send(path).await.unwrap();
        assert_eq!(peer.text().await, path);
    }
    app.shutdown().await;
}

#[tokio::test]
async fn step_9_a_failure_destroys_and_nothing_listens() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let diary = Diary::default();
    let exporter = empty()
        .bind(address.to_string())
        .component(part::<1>(&diary, nothing))
        .component(wicked::<2>(&diary, nothing, Some((Step::Build, Misdeed::Fail))));
    refused(exporter).await;
    assert_eq!(diary.take(), ["Build 1", "Build 2", "Destroy 1"]);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn step_10_a_port_in_use_is_the_last_that_can_fail() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let diary = Diary::default();
    let observer = diary.clone();
    let exporter = empty()
        .bind(address.to_string())
        .component(part::<1>(&diary, nothing))
        .observe(move |event: &ApplicationEvent| observer.note(format!("{event:?}")));
    let error = refused(exporter).await.to_string();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
    assert_eq!(diary.take(), ["Build 1", "Aware 1", "Settle 1", "Destroy 1"], "and no event was told");
}
