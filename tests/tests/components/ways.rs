//! The six ways in which one gets at the application context: all lead to the same components.

use std::sync::{Arc, OnceLock};

use endpoint_runtime::prelude::*;

use crate::support::{Journal, app};

/// Receives it.
#[component]
struct Aware {
    context: OnceLock<ApplicationContext>,
}

impl ContextAware for Aware {
    fn set_application_context(&self, context: &ApplicationContext) {
        self.context.set(context.clone()).unwrap();
    }
}

/// Supports both: has it while it is made, and receives it when all stand.
struct Both {
    injected: ApplicationContext,
    received: OnceLock<ApplicationContext>,
}

#[component]
impl Both {
    #[constructor]
    fn new(context: ApplicationContext) -> Self {
        Both { injected: context, received: OnceLock::new() }
    }
}

impl ContextAware for Both {
    fn set_application_context(&self, context: &ApplicationContext) {
        self.received.set(context.clone()).unwrap();
    }
}

/// Takes it from nowhere, wherever the runtime calls.
struct Static(ApplicationContext);

#[component]
impl Static {
    #[constructor]
    async fn new() -> Self {
        tokio::task::yield_now().await;
        Static(ApplicationContext::current())
    }
}

#[server_endpoint("/ways")]
struct Ways {
    #[inject]
    context: ApplicationContext,
    #[inject]
    aware: Arc<Aware>,
    #[inject]
    both: Arc<Both>,
    #[inject]
    made_with: Arc<Static>,
    #[inject]
    journal: Arc<Journal>,
}

#[handlers]
impl Ways {
    #[on_message]
    async fn text(&self, text: String, parameter: ApplicationContext) -> Result<String> {
        let of_this_application = |context: &ApplicationContext| -> Result<bool> {
            Ok(Arc::ptr_eq(&context.get::<Journal>()?, &self.journal))
        };
        let mut ways = vec![of_this_application(&ApplicationContext::current())?];
        tokio::task::yield_now().await;
        ways.push(of_this_application(&ApplicationContext::current())?);
        ways.push(of_this_application(&self.made_with.0)?);
        ways.push(self.aware.context.get().map(of_this_application).transpose()? == Some(true));
        ways.push(of_this_application(&self.both.injected)?);
        ways.push(self.both.received.get().map(of_this_application).transpose()? == Some(true));
        ways.push(of_this_application(&self.context)?);
        ways.push(of_this_application(&parameter)?);
        Ok(format!("{text} {ways:?}"))
    }
}

#[tokio::test(start_paused = true)]
async fn six_ways_lead_to_the_context_and_each_application_has_its_own() {
    let mut kept = Vec::new();
    for _ in 0..2 {
        let (journal, app) = app::<Ways>();
        let app = app.start().await;
        // The first way: whoever starts the application keeps it.
        assert!(Arc::ptr_eq(&app.context().get::<Journal>().unwrap(), &journal));
        kept.push(app);
    }
    for app in &kept {
        let mut peer = app.connect("/ways").await.unwrap();
        peer.send("all").await.unwrap();
        assert_eq!(peer.text().await, format!("all {:?}", [true; 8]));
    }
}

#[tokio::test]
async fn the_context_can_be_kept_at_start() {
    let (ready, kept) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let exporter = crate::support::exporter::<Ways>(&Arc::default()).on_ready(move |server| {
        let _ = ready.send(server.context().clone());
    });
    let serving = tokio::spawn(exporter.serve_with_shutdown(async {
        let _ = stopped.await;
    }));
    let context = kept.await.unwrap();
    assert!(context.find::<Aware>().is_some());
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
