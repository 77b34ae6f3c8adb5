//! How long a server of many endpoints and components takes to start: `started [MILLISECONDS]`.
//!
//! It starts 500 endpoints and 500 components, from the exporter to the open port, and prints how long the shortest of seven starts took: what
//! else the machine does only adds to it. It fails if that is longer than the milliseconds that it is given, which mean something where it is
//! compiled for release.
//!
//! The components are of fifty types, ten of each by name; each needs all ten of the type before, and every type is a trait too, so that there
//! is a graph to be walked. Half of the endpoints have variables in their paths.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig, Needs, Place, ServerEndpointConfig};

const STARTS: usize = 7;
const ENDPOINTS: usize = 500;
const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

struct Quiet;
impl Endpoint for Quiet {}

trait Marked: Send + Sync {}

/// One of many types of components.
struct Part<const N: usize>;
impl<const N: usize> Marked for Part<N> {}
impl<const N: usize> Lifecycle for Part<N> {}

/// Ten components of one type.
fn ten<const N: usize>(needs: fn(&mut Needs)) -> impl Iterator<Item = ComponentConfig> {
    NAMES.into_iter().map(move |name| {
        let place = Place::new(file!(), line!());
        ComponentConfig::new("Part", env!("CARGO_PKG_NAME"), place, |_| async { Ok(Part::<N>) })
            .named(name)
            .needs(needs)
            .lifecycle::<Part<N>>()
            .provides::<Part<N>, dyn Marked>(|part| part)
    })
}

/// All components: the numbers of their types, and before each that of the type that it needs.
macro_rules! components {
    ($($before:literal $number:literal)*) => {{
        let mut all: Vec<_> = ten::<0>(|_| {}).collect();
        $(all.extend(ten::<$number>(|needs| needs.injected::<Vec<Arc<Part<$before>>>>()));)*
        all
    }};
}

fn components() -> Vec<ComponentConfig> {
    components!(
        0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8 8 9 9 10 10 11 11 12 12 13 13 14 14 15 15 16 16 17 17 18 18 19 19 20 20 21 21 22 22 23 23 24 24 25
        25 26 26 27 27 28 28 29 29 30 30 31 31 32 32 33 33 34 34 35 35 36 36 37 37 38 38 39 39 40 40 41 41 42 42 43 43 44 44 45 45 46 46 47
        47 48 48 49
    )
}

/// From the exporter to the open port, and how much there is then.
async fn start() -> Result<(Duration, usize, usize)> {
    let begun = Instant::now();
    let mut exporter = runtime::export_all().settings(runtime::Settings::default()).bind("127.0.0.1:0");
    for number in 0..ENDPOINTS {
        let path =
            if number % 2 == 0 { format!("/started/{number}") } else { format!("/started/{number}/{{x}}/y") };
        exporter = exporter.endpoint(ServerEndpointConfig::builder(path, || Quiet).build());
    }
    for component in components() {
        exporter = exporter.component(component);
    }
    let built: Arc<std::sync::OnceLock<usize>> = Arc::default();
    let count = Arc::clone(&built);
    let exporter = exporter.before_listening(|context| async move {
        let _ = count.set(context.all::<dyn Marked>().len());
        Ok(())
    });
    let server = exporter.start().await?;
    let took = begun.elapsed();
    let there = (took, server.container().endpoints().len(), built.get().copied().unwrap_or_default());
    server.shutdown().await;
    Ok(there)
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let bound = std::env::args().nth(1).map(|text| text.parse::<u64>()).transpose()?;
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        let (took, endpoints, components) = start().await?;
        if (endpoints, components) != (ENDPOINTS, 500) {
            return Err(Error::msg(format!(
                "{endpoints} endpoints and {components} components have started"
            )));
        }
        shortest = shortest.min(took);
    }
    println!("{:.1} ms for {ENDPOINTS} endpoints and 500 components", shortest.as_secs_f64() * 1000.0);
    match bound {
        Some(bound) if shortest > Duration::from_millis(bound) => {
            eprintln!("that is more than {bound} ms");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
