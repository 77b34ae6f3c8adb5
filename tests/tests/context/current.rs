//! [`ApplicationContext::current`]: the components, for code that nobody hands them to.
//!
//! These tests share a process with others, whose servers run at the same time; what is current outside of all code of servers is tested by a
//! process of its own.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig, ServerEndpointConfig};

use crate::support::{Diary, at, soon, these};

/// Which of several servers this is.
struct Name(&'static str);

fn name() -> String {
    let found = ApplicationContext::try_current().and_then(|context| context.find::<Name>());
    found.map_or_else(|| "nobody".to_owned(), |name| name.0.to_owned())
}

#[server_endpoint("/current")]
struct Asking;

#[handlers]
impl Asking {
    #[on_message]
    async fn message(&self, _: String) -> String {
        let before = name();
        tokio::task::yield_now().await;
        format!("{before} {}", name())
    }
}

struct Component(Diary);

impl Lifecycle for Component {
    async fn after_properties_set(&self) -> Result<()> {
        self.0.note(format!("settled at {}", name()));
        Ok(())
    }
    async fn destroy(&self) {
        tokio::task::yield_now().await;
        self.0.note(format!("destroyed at {}", name()));
    }
}

impl ContextAware for Component {
    fn set_application_context(&self, _: &ApplicationContext) {
        self.0.note(format!("introduced at {}", name()));
    }
}

#[tokio::test]
async fn each_servers_code_finds_its_own_context() {
    let diary = Diary::default();
    let mut servers = Vec::new();
    for own in ["first", "second"] {
        let (build, hook) = (diary.clone(), diary.clone());
        let component = ComponentConfig::new("Component", "tests", at(1), move |_| {
            let diary = build.clone();
            async move {
                tokio::task::yield_now().await;
                diary.note(format!("built at {}", name()));
                Ok(Component(diary))
            }
        });
        let exporter = these([ServerEndpointConfig::of::<Asking>()])
            .provide(Name(own))
            .component(component.lifecycle::<Component>().aware::<Component>())
            .before_listening(move |_| async move {
                hook.note(format!("hook at {}", name()));
                Ok(())
            });
        servers.push((own, soon("the start", exporter.start()).await.unwrap()));
        let steps = ["built", "introduced", "settled", "hook"];
        assert_eq!(diary.take(), steps.map(|step| format!("{step} at {own}")));
    }
    for (own, server) in &servers {
        let heard: Arc<OnceLock<String>> = Arc::default();
        struct Hear(Arc<OnceLock<String>>);
        impl Endpoint for Hear {
            async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
                // In the client's handler it is the client's.
                let _ = self.0.set(format!("{} {}", message.as_text().unwrap_or_default(), name()));
                session.close(CloseReason::new(CloseCode::Normal, "")).await?;
                Ok(())
            }
        }
        let client = runtime::client().provide(Name("client"));
        let url = format!("ws://{}/current", server.local_addr());
        let session = soon("the connection", client.connect(Hear(Arc::clone(&heard)), &url)).await.unwrap();
        session.send("who?").await.unwrap();
        let answered = async {
            while heard.get().is_none() {
                tokio::task::yield_now().await;
            }
        };
        soon("the answer", answered).await;
        assert_eq!(heard.get().unwrap(), &format!("{own} {own} client"));
        soon("the client's end", client.shutdown()).await;
    }
    for (own, server) in servers {
        server.shutdown().await;
        assert_eq!(diary.take(), [format!("destroyed at {own}")]);
    }
}

/// The process prints what it finds with no server, one, two, and none again.
#[test]
fn outside_of_handlers_it_is_the_only_servers() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_served"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("ENDPOINT_") {
            command.env_remove(variable);
        }
    }
    let output = command.arg("context").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "none: no context",
            "starting: no context",
            "one: 1",
            "two: no context",
            "one again: 1",
            "none again: no context"
        ],
        "{errors}"
    );
}
