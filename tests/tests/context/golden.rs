//! Deployment problems of every kind in one error, word for word: `problems.txt`.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{ComponentConfig, Needs, ServerEndpointConfig};

use crate::support::{Echo, at, refused, these};

trait Audit: Send + Sync {}
trait Other: Send + Sync {}
struct FileAudit;
impl Audit for FileAudit {}
impl Other for FileAudit {}
struct Hen;
struct Egg;
struct Database;
struct Lonely;

fn component<T: Send + Sync + 'static>(
    name: &'static str,
    line: u32,
    make: fn() -> T,
    needs: fn(&mut Needs),
) -> ComponentConfig {
    ComponentConfig::new(name, "tests", at(line), move |_| async move { Ok(make()) }).needs(needs)
}

/// An endpoint that wants what nobody has.
#[server_endpoint("/golden/wanting")]
struct Wanting {
    #[inject]
    audit: Arc<dyn Audit>,
    #[inject]
    hen: Arc<Hen>,
}

#[handlers]
impl Wanting {
    #[on_message]
    fn message(&self, text: Text) -> Text {
        let _ = (&self.audit, &self.hen);
        text
    }
}

/// An endpoint that stands where this is written.
macro_rules! echo {
    ($path:literal) => {
        ServerEndpointConfig::builder($path, || Echo)
    };
}

#[tokio::test]
async fn problems_of_every_kind_come_in_one_error() {
    let exporter = these([
        echo!("no/slash").build(),
        echo!("/golden/a").build(),
        echo!("/golden/a").build(),
        echo!("/golden/{x}").build(),
        echo!("/golden/{y}").subprotocols(["two words"]).origins(["example.com"]).build(),
        ServerEndpointConfig::of::<Wanting>(),
    ])
    .bind("8080")
    .configure(|settings| settings.max_headers = 1)
    .expect_paths(["/golden/nowhere"])
    .value("chat.max_length", 100)
    .value("chat.rooms", "many")
    .provide(1u8)
    .provide(2u8)
    .provide(FileAudit)
    .provide_named("main", 'm')
    .provide_named("spare", 's')
    .component(component("Hen", 10, || Hen, |needs| needs.asked_by("egg", at(11)).component::<Egg>()))
    .component(component("Egg", 20, || Egg, |needs| needs.asked_by("hen", at(21)).component::<Hen>()))
    .component(component(
        "Database",
        30,
        || Database,
        |needs| {
            needs.asked_by("log", at(31)).component::<char>();
            needs.asked_by("reserve", at(32)).named::<char>("reserve");
            needs.asked_by("max_len", at(33)).value::<usize>("chat.max_len", false);
            needs.asked_by("rooms", at(34)).value::<usize>("chat.rooms", true);
            needs.asked_by("shared", at(35)).component::<Arc<FileAudit>>();
        },
    ))
    .component(component("Lonely", 40, || Lonely, |_| {}).provides::<FileAudit, dyn Other>(|other| other));
    let error = refused(exporter).await.to_string();
    let golden = include_str!("problems.txt").trim_end();
    assert_eq!(error, golden, "\n--- what is said now:\n{error}\n---");
}
