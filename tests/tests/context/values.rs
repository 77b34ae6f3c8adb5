//! Values of the application's own settings, as components and endpoints have them. What a file and the environment may say is tested where
//! settings are read.

use endpoint_runtime::ComponentConfig;
use tokio::sync::oneshot;

use crate::support::logged::capture;
use crate::support::{at, empty, refused, soon};

struct Chat {
    max_len: usize,
    greeting: String,
    nickname: Option<String>,
}

fn chat() -> ComponentConfig {
    ComponentConfig::new("Chat", "tests", at(1), |context| async move {
        Ok(Chat {
            max_len: context.value("chat.max_len")?,
            greeting: context.find_value("chat.greeting")?.unwrap_or_else(|| "hello".to_owned()),
            nickname: context.value("chat.nickname")?,
        })
    })
    .needs(|needs| {
        needs.asked_by("max_len", at(2)).value::<usize>("chat.max_len", false);
        needs.asked_by("greeting", at(3)).value::<String>("chat.greeting", true);
        needs.asked_by("nickname", at(4)).value::<Option<String>>("chat.nickname", false);
    })
}

#[tokio::test]
async fn a_component_has_its_values_before_it_is_built() {
    let (told, tell) = oneshot::channel();
    let exporter =
        empty().value("chat.max_len", 100).value("chat.max_len", 200).component(chat()).before_listening(
            |context| async move {
                let _ = told.send(context.get::<Chat>()?);
                Ok(())
            },
        );
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    let chat = tell.await.unwrap();
    assert_eq!((chat.max_len, chat.greeting.as_str(), &chat.nickname), (200, "hello", &None));
}

#[tokio::test]
async fn a_value_that_is_missing_or_wrong_is_a_problem_of_the_deployment() {
    let error =
        refused(empty().value("chat.max_length", 1).value("chat.greeting", true).component(chat())).await;
    assert_eq!(
        error.to_string(),
        "cannot deploy, 2 problems:\n  \
         1. Chat.max_len (src/app.rs:2) needs a setting: `chat.max_len` is not set: write `max_len` under `[chat]` in \
         `endpoint.toml`, or set ENDPOINT_CHAT__MAX_LEN; did you mean `chat.max_length`?\n  \
         2. Chat.greeting (src/app.rs:3) needs a setting: `chat.greeting` (the program): invalid type: boolean `true`, \
         expected a string"
    );
    assert_eq!(error.problems()[0].places(), [at(2)]);
}

/// Where there is a default nothing is missing, and a slip would go unnoticed.
#[tokio::test]
async fn a_slip_of_a_key_is_a_warning() {
    let logged = capture();
    let exporter = empty()
        .value("chat.max_len", 1)
        .value("chat.greting", "hi")
        .value("talk.title", "x")
        .component(chat());
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    let said = "`chat.greting` (the program) is nothing that is asked for: did you mean `chat.greeting`?";
    assert_eq!(logged.saying(said).len(), 1, "{:?}", logged.lines());
    assert!(!logged.lines().iter().any(|line| line.message.contains("talk.title")));
}
