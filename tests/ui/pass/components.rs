//! Every form that a component may have.

#![deny(warnings)]

use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use endpoint_runtime::prelude::*;

trait Audit: Send + Sync {}
trait Clock: Send + Sync {}
trait Store: Send + Sync {}

#[component]
struct Unit;

#[component(lazy)]
struct Tuple(#[inject] Arc<Unit>, #[value("tuple.count", default = LIMIT + 1)] u32, AtomicU64, #[init(Mutex::new(3))] Mutex<u8>);

const LIMIT: u32 = 3;

impl Tuple {
    fn is_used(&self) -> bool {
        let _ = (&self.0, self.1, &self.2, &self.3);
        true
    }
}

mod theatre {
    use super::*;

    #[component(name = "main", as = [dyn Audit, dyn Clock + Send], lazy, crate = endpoint_runtime)]
    #[derive(Clone)]
    pub(crate) struct Theatre {
        #[inject]
        pub(crate) unit: Arc<Unit>,
        #[inject("tuple")]
        pub(crate) tuple: Option<Arc<Tuple>>,
        #[inject]
        pub(crate) audits: Vec<Arc<dyn Audit>>,
        #[inject]
        pub(crate) tuple_later: Lazy<Tuple>,
        #[inject]
        pub(crate) context: ApplicationContext,
        #[inject]
        pub(crate) sessions: Sessions,
        #[inject]
        pub(crate) container: Container,
        #[value("theatre.names")]
        pub(crate) names: HashMap<String, Vec<u8>>,
        #[value("theatre.perhaps", default = None)]
        pub(crate) perhaps: Option<f64>,
        #[init({
            let context = 3;
            vec![context; 8]
        })]
        pub(crate) log: Vec<u8>,
        pub(crate) r#type: Option<&'static str>,
    }

    impl Audit for Theatre {}
    impl Clock for Theatre {}
    impl Lifecycle for Theatre {}
    impl ContextAware for Theatre {
        fn set_application_context(&self, _context: &ApplicationContext) {}
    }
    impl Observer for Theatre {
        fn observe(&self, _event: &ApplicationEvent) {}
    }
}

struct Users(u32);

#[component]
impl Users {
    const FIRST: u32 = 7;

    /// An error of the program's own.
    #[constructor]
    async fn new(
        unit: Arc<Unit>,
        #[value("users.first", default = Self::FIRST)] first: u32,
        #[inject("main")] theatre: Arc<theatre::Theatre>,
        #[inject] all: Vec<Arc<dyn Audit>>,
        _: Option<Arc<dyn Store>>,
        mut later: Lazy<Tuple>,
        r#type: Arc<Kind>,
    ) -> Result<Self, io::Error> {
        later.clone_from(&later.clone());
        let _ = (unit, theatre, all, r#type);
        Ok(Self(first))
    }

    fn helper(&self) -> u32 {
        self.0
    }
}

/// An enum is made by code, too.
enum Kind {
    One,
}

#[component(as = [dyn Clock])]
impl Kind {
    #[constructor]
    fn make() -> Self {
        Kind::One
    }
}

impl Clock for Kind {}

struct Conditional;

#[component]
impl Conditional {
    #[cfg(any())]
    #[constructor]
    fn never(missing: Arc<Missing>) -> Missing {}

    #[cfg(all())]
    #[constructor]
    fn always() -> Arc<Self> {
        Arc::new(Conditional)
    }
}

#[component]
#[cfg(any())]
struct Missing {
    #[inject]
    nothing: Arc<Nothing>,
}

struct File;
impl Store for File {}

#[provider(name = "file")]
async fn file(#[value("file.name")] name: String, _kind: Arc<Kind>) -> io::Result<Arc<dyn Store>> {
    let _ = name;
    Ok(Arc::new(File))
}

#[provider(as = [dyn Store], lazy)]
fn other_file() -> File {
    File
}

#[provider]
fn numbers() -> Vec<u64> {
    vec![1, 2, 3]
}

/// Named as what the generated code could name its own.
#[allow(dead_code)]
struct Provider;

#[provider(name = "fallible", crate = ::endpoint_runtime)]
pub(crate) fn fallible(_provider: Option<Arc<Provider>>) -> Result<Vec<u64>> {
    Ok(Vec::new())
}

#[provider]
#[cfg(any())]
fn missing() -> Missing {}

#[server_endpoint("/values")]
struct Values {
    #[value("values.greeting", default = "hello".to_owned())]
    greeting: String,
    #[inject("file")]
    store: Arc<dyn Store>,
    #[inject]
    all: Vec<Arc<dyn Store>>,
}

#[handlers]
impl Values {
    #[on_message]
    fn text(&self, _text: String) -> String {
        let _ = (&self.store, &self.all);
        self.greeting.clone()
    }
}

fn main() {
    // They remain functions that can be called.
    let _ = (other_file(), numbers().len(), Kind::make());
    let _ = (Tuple::is_used, Users::helper, file);

    #[component]
    struct Inside {
        #[inject]
        _unit: Arc<Unit>,
    }
}
