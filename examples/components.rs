//! A guestbook made of components: `cargo run --example components`, then write a line to the printed address; for example
//! `python3 -m websockets ws://127.0.0.1:8080/guestbook`. At `/context` are the six ways in which one gets at the application
//! context. Ctrl-C stops it, gracefully: read what becomes of the components then.
//!
//! `ENDPOINT_GUESTBOOK__LONGEST=10 cargo run --example components` changes a setting; a number that is none stops the start, with
//! the line in this file that wants it.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use endpoint_runtime as runtime;
use runtime::prelude::*;

/// What a line must pass: there may be any number of these, in any crate of the program.
trait Rule: Send + Sync {
    fn objection(&self, line: &str) -> Option<String>;
}

/// A component whose fields say all: nobody lists it anywhere.
#[component(as = [dyn Rule])]
struct Length {
    #[value("guestbook.longest", default = 80)]
    longest: usize,
}

impl Rule for Length {
    fn objection(&self, line: &str) -> Option<String> {
        let length = line.chars().count();
        (length > self.longest)
            .then(|| format!("{length} characters are too many: write up to {}", self.longest))
    }
}

#[component(as = [dyn Rule])]
struct Manners;

impl Rule for Manners {
    fn objection(&self, line: &str) -> Option<String> {
        line.contains("!!!").then(|| "please do not shout".to_owned())
    }
}

/// When the application was started: of a type that is not ours, so a function makes it.
#[provider]
fn started() -> Instant {
    Instant::now()
}

/// The book: it takes code to open one, and it is to be closed.
struct Guestbook {
    rules: Vec<Arc<dyn Rule>>,
    lines: Mutex<Vec<String>>,
}

#[component]
impl Guestbook {
    #[constructor]
    async fn open(
        rules: Vec<Arc<dyn Rule>>,
        #[value("guestbook.title", default = "Guests".to_owned())] title: String,
    ) -> Result<Self> {
        // Whatever takes time: a database to connect to, a file to read. An error stops the start.
        println!("the book \"{title}\" is open, with {} rules", rules.len());
        Ok(Guestbook { rules, lines: Mutex::new(vec![title]) })
    }

    fn write(&self, line: String) -> Result<usize, String> {
        if let Some(objection) = self.rules.iter().find_map(|rule| rule.objection(&line)) {
            return Err(objection);
        }
        let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.push(line);
        Ok(lines.len() - 1)
    }
}

impl Lifecycle for Guestbook {
    async fn after_properties_set(&self) -> Result<()> {
        println!("all components stand, and nobody is let in yet");
        Ok(())
    }

    async fn destroy(&self) {
        let lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("the book is closed, with {} lines", lines.len() - 1);
    }
}

/// Hears of everything that happens: it implements `Observer`, and that is all there is to it.
#[component]
struct Porter;

impl Observer for Porter {
    fn observe(&self, event: &ApplicationEvent) {
        match event {
            ApplicationEvent::SessionOpened { .. } => println!("somebody came"),
            ApplicationEvent::SessionClosed { reason, .. } => println!("somebody left: {}", reason.code()),
            ApplicationEvent::ShuttingDown => println!("closing time"),
            _ => {}
        }
    }
}

#[server_endpoint("/guestbook")]
struct Desk {
    #[inject]
    book: Arc<Guestbook>,
}

#[handlers]
impl Desk {
    #[on_message]
    fn line(&self, line: String) -> String {
        match self.book.write(line) {
            Ok(number) => format!("This is line {number}. Thank you."),
            Err(objection) => format!("Not written: {objection}."),
        }
    }
}

// The six ways to the application context.

/// Where `main` keeps it.
static KEPT: OnceLock<ApplicationContext> = OnceLock::new();

/// An object that receives it.
#[component]
#[derive(Default)]
struct Receives {
    context: OnceLock<ApplicationContext>,
}

impl ContextAware for Receives {
    fn set_application_context(&self, context: &ApplicationContext) {
        let _ = self.context.set(context.clone());
    }
}

/// One that supports both: with it injected it can be used while the others are still made, and it receives it when all stand.
#[component]
struct Both {
    #[inject]
    context: ApplicationContext,
    is_complete: OnceLock<Instant>,
}

impl ContextAware for Both {
    fn set_application_context(&self, _: &ApplicationContext) {
        let _ = self.is_complete.set(Instant::now());
    }
}

#[server_endpoint("/context")]
struct Ways {
    #[inject]
    injected: ApplicationContext,
    #[inject]
    receives: Arc<Receives>,
    #[inject]
    both: Arc<Both>,
}

#[handlers]
impl Ways {
    #[on_open]
    fn six(&self, parameter: ApplicationContext) -> Result<String> {
        let ways = [
            ("kept at start", KEPT.get().cloned()),
            ("static", Some(ApplicationContext::current())),
            ("received", self.receives.context.get().cloned()),
            ("received and injected", self.both.is_complete.get().map(|_| self.both.context.clone())),
            ("injected", Some(self.injected.clone())),
            ("a parameter", Some(parameter)),
        ];
        let mut told = String::new();
        for (way, context) in ways {
            let context = context.ok_or_else(|| Error::msg(format!("no context is {way}")))?;
            let (book, started) = (context.get::<Guestbook>()?, context.get::<Instant>()?);
            let same = Arc::ptr_eq(&book, &self.injected.get()?);
            told += &format!(
                "{way}: the same book ({same}), {} s after the start\n",
                started.elapsed().as_secs()
            );
        }
        Ok(told)
    }
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    runtime::export_all()
        .on_ready(|server| {
            let _ = KEPT.set(server.context().clone());
            println!(
                "write to ws://{0}/guestbook, read ws://{0}/context, stop with Ctrl-C",
                server.local_addr()
            );
        })
        .serve()
        .await?;
    println!("good night");
    Ok(())
}
