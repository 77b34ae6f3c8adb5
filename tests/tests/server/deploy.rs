//! Deployment: everything that is wrong is told at once, with its places, and then nothing is started.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{DeployError, Endpoint, Problem, ServerEndpointConfig, ServerEndpointExporter};
use tokio::net::TcpListener;

use super::support::{Directory, Echo, Reporter, exporter, only, only_these, soon, start};

struct Quiet;

impl Endpoint for Quiet {}

/// A quiet endpoint and the line where it stands.
#[track_caller]
fn quiet(path: &str) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, || Quiet).build()
}

fn here(line: u32) -> String {
    format!("{}:{line}", file!())
}

/// The problems that mention all of these.
fn about<'p>(problems: &'p [Problem], words: &[&str]) -> Vec<&'p Problem> {
    problems.iter().filter(|problem| words.iter().all(|word| problem.to_string().contains(word))).collect()
}

/// The only problem there is.
#[track_caller]
fn only_problem(exporter: &ServerEndpointExporter) -> Problem {
    let report = exporter.check();
    let [problem] = report.problems() else { panic!("not one problem: {report}") };
    problem.clone()
}

// ---- each problem by itself

#[test]
fn the_same_path_twice_names_both_places() {
    let (one, first) = (quiet("/twice"), line!());
    let (two, second) = (quiet("/twice"), line!());
    let problem = only_problem(&only_these([one, two]));
    let places: Vec<_> = problem.places().iter().map(ToString::to_string).collect();
    assert_eq!(places, [here(first), here(second)]);
    let text = problem.to_string();
    assert!(text.contains("the same path") && text.contains("`/twice`"), "{text}");
    assert!(places.iter().all(|place| text.contains(place.as_str())), "{text}");
}

#[test]
fn equivalent_templates_name_both_places() {
    for (one, two) in
        [("/a/{x}", "/a/{y}"), ("/{*all}", "/{*rest}"), ("/caf%C3%A9", "/café"), ("/{x}/b/{y}", "/{y}/b/{x}")]
    {
        let (first, second) = (quiet(one), quiet(two));
        let problem = only_problem(&only_these([first, second]));
        let text = problem.to_string();
        assert_eq!(problem.places().len(), 2, "{text}");
        assert!(
            text.contains("match the same requests") && text.contains(one) && text.contains(two),
            "{text}"
        );
    }
}

/// WSC-3.1.1-2: a literal path that a template matches too is no conflict.
#[test]
fn what_only_overlaps_is_no_conflict() {
    let paths = ["/a/{x}", "/a/b", "/{y}/b", "/a/{*rest}", "/a/b/", "/A/b"];
    let report = only_these(paths.map(quiet)).check();
    assert_eq!(report.problems(), [], "{report}");
    assert_eq!(report.endpoints().len(), paths.len());
}

#[test]
fn a_malformed_path_says_what_to_write() {
    let table = [
        ("", "the path is empty"),
        ("chat", "write \"/chat\""),
        ("/a//b", "\"/a//b\""),
        ("/a/../b", "\"/a/../b\""),
        ("/a/{b}.do", "a variable fills a whole segment"),
        ("/{a}/{a}", "stands here twice"),
        ("/{*rest}/b", "make it the last segment"),
        ("/a?b", "#[query]"),
    ];
    for (path, remedy) in table {
        let (config, line) = (quiet(path), line!());
        let problem = only_problem(&only_these([config]));
        assert!(problem.to_string().contains(remedy), "{problem}");
        assert!(problem.to_string().contains(&here(line)), "{problem}");
        assert_eq!(problem.places().iter().map(ToString::to_string).collect::<Vec<_>>(), [here(line)]);
    }
}

#[test]
fn subprotocols_must_be_tokens_and_stand_once() {
    let speaks = |names: &[&str]| {
        ServerEndpointConfig::builder("/speaks", || Quiet).subprotocols(names.to_vec()).build()
    };
    for name in ["two words", "", "a,b", "größe"] {
        let problem = only_problem(&only_these([speaks(&[name])]));
        assert!(problem.to_string().contains("not the name of a subprotocol"), "{problem}");
    }
    let problem = only_problem(&only_these([speaks(&["a", "b", "a"])]));
    assert!(problem.to_string().contains("`a` is listed twice"), "{problem}");
}

#[test]
fn origins_must_be_origins() {
    let config =
        ServerEndpointConfig::builder("/x", || Quiet).origins(["https://ok.example", "example.com"]).build();
    let problem = only_problem(&only_these([config]));
    assert!(problem.to_string().contains("`example.com` is not an origin"), "{problem}");
    assert_eq!(problem.places().len(), 1);
    let report = only_these([quiet("/x")]).origins(["example.com"]).check();
    assert!(!about(report.problems(), &["example.com", "https://example.com"]).is_empty(), "{report}");
}

#[test]
fn limits_of_zero_are_refused() {
    let config = ServerEndpointConfig::builder("/zero", || Quiet).max_message_size(0).send_buffer(0).build();
    let report = only_these([config]).check();
    assert_eq!(report.problems().len(), 2, "{report}");
    for option in ["`max_message_size` is 0", "`send_buffer` is 0"] {
        assert_eq!(about(report.problems(), &[option, file!()]).len(), 1, "{report}");
    }
    let report = only_these([quiet("/x")]).configure(|settings| settings.max_message_size = 0).check();
    assert_eq!(about(report.problems(), &["max_message_size"]).len(), 1, "{report}");
}

#[test]
fn an_address_that_is_none_says_what_to_write() {
    for (address, remedy) in [
        ("8080", "127.0.0.1:8080"),
        ("localhost", "localhost:8080"),
        (":80", "0.0.0.0:80"),
        ("127.0.0.1:99999", "0 to 65535"),
        ("unix:", "unix:/run/app.sock"),
        ("http://localhost:8080", "127.0.0.1:8080"),
    ] {
        let problem = only_problem(&only_these([quiet("/x")]).bind(address));
        assert!(problem.to_string().contains(remedy), "{address}: {problem}");
    }
}

#[test]
fn an_expected_path_that_is_missing_is_named_with_what_there_is() {
    let exporter = only_these([quiet("/here")]).expect_paths(["/here", "/there"]);
    let text = only_problem(&exporter).to_string();
    assert!(
        text.contains("`/there`") && text.contains("found: /here") && text.contains("use that_crate as _;"),
        "{text}"
    );
    assert_eq!(only_these([quiet("/here")]).expect_paths(["/here"]).check().problems(), []);
}

#[test]
fn a_filter_that_selects_nothing_is_told_from_no_endpoint_at_all() {
    let exporter = exporter().only(|_| false);
    let text = only_problem(&exporter).to_string();
    assert!(text.contains("`.only(..)`") && text.contains("`.allow_empty()`"), "{text}");
    assert_eq!(exporter.allow_empty().check().problems(), []);
}

// ---- components

struct Clock;

trait Audit: Send + Sync {
    fn write(&self, line: &str);
}

struct FileAudit;

impl Audit for FileAudit {
    fn write(&self, _: &str) {}
}

/// Asks for components as fields and as parameters.
#[server_endpoint("/needs")]
struct Needy {
    #[inject]
    clock: Arc<Clock>,
    #[inject]
    audit: Arc<dyn Audit>,
    #[inject]
    optional: Option<Arc<String>>,
}

#[handlers]
impl Needy {
    #[on_message]
    fn message(&self, text: String, count: Inject<AtomicUsize>) -> usize {
        let _ = (&self.clock, &self.optional);
        self.audit.write(&text);
        count.fetch_add(1, Ordering::Relaxed)
    }
}

#[test]
fn every_missing_component_is_named_with_who_asks_and_where() {
    let report = only::<Needy>().check();
    assert_eq!(report.problems().len(), 3, "{report}");
    for (asked_by, component) in
        [("Needy.clock", "Clock`"), ("Needy.audit", "dyn "), ("Needy.count", "AtomicUsize`")]
    {
        let found = about(report.problems(), &[asked_by, component, "nobody provides it", file!()]);
        assert_eq!(found.len(), 1, "{asked_by}: {report}");
        assert_eq!(found[0].places().len(), 1);
    }
}

#[test]
fn a_component_that_was_nearly_provided_is_named() {
    // An Arc where the thing itself was meant, and a type where its trait was.
    let report =
        only::<Needy>().provide(Arc::new(Clock)).provide(FileAudit).provide(AtomicUsize::new(0)).check();
    assert_eq!(report.problems().len(), 2, "{report}");
    assert_eq!(about(report.problems(), &["Needy.clock", "`.provide_shared(..)`"]).len(), 1, "{report}");
    assert_eq!(
        about(report.problems(), &["Needy.audit", "FileAudit` is provided", "provide_shared::<dyn "]).len(),
        1,
        "{report}"
    );
}

#[test]
fn a_component_provided_twice_is_a_problem() {
    let exporter =
        only::<Needy>().provide(AtomicUsize::new(0)).provide_shared::<dyn Audit>(Arc::new(FileAudit));
    assert_eq!(exporter.check().problems().len(), 1);
    let exporter = exporter.provide(Clock);
    assert_eq!(exporter.check().problems(), []);
    let problem = only_problem(&exporter.provide(Clock));
    assert!(problem.to_string().contains("Clock` was provided more than once"), "{problem}");
}

/// An endpoint that is not selected needs nothing.
#[test]
fn a_filter_leaves_out_what_an_endpoint_needs() {
    assert_eq!(only::<Echo>().check().problems(), []);
}

// ---- all at once

/// One of each kind, and where the endpoints stand.
fn all_wrong() -> ServerEndpointExporter {
    let subprotocols = ServerEndpointConfig::builder("/w/sub", || Quiet).subprotocols(["two words"]).build();
    let origins = ServerEndpointConfig::builder("/w/origin", || Quiet).origins(["example.com"]).build();
    only_these([
        quiet("/w/a"),
        quiet("/w/a"),
        quiet("/w/{x}"),
        quiet("/w/{y}"),
        quiet("w/bad"),
        subprotocols,
        origins,
    ])
    .bind("8080")
    .provide(1u8)
    .provide(2u8)
    .expect_paths(["/w/nowhere"])
    .configure(|settings| settings.max_headers = 1)
}

#[test]
fn all_problems_come_at_once() {
    let report = all_wrong().check();
    let problems = report.problems();
    for words in [
        ["the same path", "/w/a"],
        ["match the same requests", "/w/{y}"],
        ["must start with '/'", "/w/bad"],
        ["two words", "subprotocol"],
        ["example.com", "origin"],
        ["8080", "bind"],
        ["u8", "more than once"],
        ["/w/nowhere", "expected path"],
        ["max_headers", "refuses every handshake"],
    ] {
        assert_eq!(about(problems, &words).len(), 1, "{words:?} in {report}");
    }
    assert_eq!(problems.len(), 9, "{report}");
    assert_eq!(report.endpoints().len(), 7, "what is wrong is reported too");
}

#[test]
fn the_order_is_the_same_every_time() {
    let texts = |exporter: ServerEndpointExporter| {
        let report = exporter.check();
        (
            report.to_string(),
            report.endpoints().iter().map(|config| config.path().to_owned()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(texts(all_wrong()), texts(all_wrong()));
    let everything = || exporter().endpoint(quiet("/z/last")).endpoint(quiet("/a/first"));
    let (_, paths) = texts(everything());
    assert_eq!(texts(everything()).1, paths);
    assert_eq!(paths[..2], ["/z/last", "/a/first"], "explicit ones first, in their order");
    let mut sorted = paths[2..].to_vec();
    sorted.sort();
    assert!(sorted.len() > 5);
    assert_eq!(paths[2..], sorted, "then by path");
}

#[tokio::test]
async fn the_error_of_a_start_lists_everything() {
    let texts: Vec<_> = all_wrong().check().problems().iter().map(ToString::to_string).collect();
    let error = all_wrong().start().await.unwrap_err();
    let deploy = error.downcast_ref::<DeployError>().unwrap();
    assert_eq!(deploy.problems().iter().map(ToString::to_string).collect::<Vec<_>>(), texts);
    // What `main` prints when it returns the error.
    let printed = format!("{error:?}");
    assert!(printed.starts_with("cannot deploy, 9 problems:\n  1. "), "{printed}");
    assert!(texts.iter().all(|text| printed.contains(text.as_str())), "{printed}");
}

// ---- what is deployed

#[test]
fn an_endpoint_that_is_registered_and_explicit_is_deployed_once() {
    let report = only::<Echo>().endpoint(ServerEndpointConfig::of::<Echo>()).check();
    assert_eq!(report.problems(), [], "{report}");
    assert_eq!(report.endpoints().len(), 1);
    let config = &report.endpoints()[0];
    assert!(config.is::<Echo>() && !config.is::<Needy>());
    assert_eq!((config.path(), config.type_name()), ("/echo", "Echo"));
    assert!(config.place().to_string().contains("endpoints.rs:"), "{}", config.place());
}

#[test]
fn one_type_may_stand_at_several_paths() {
    let report = only_these([quiet("/one"), quiet("/two")]).check();
    assert_eq!((report.problems().len(), report.endpoints().len()), (0, 2), "{report}");
}

#[test]
fn several_filters_must_all_agree() {
    let report = only_these([quiet("/a/x"), quiet("/a/y"), quiet("/b/x")])
        .only(|config| config.path().starts_with("/a"))
        .only(|config| config.path().ends_with("/x"))
        .check();
    assert_eq!(report.endpoints().iter().map(ServerEndpointConfig::path).collect::<Vec<_>>(), ["/a/x"]);
}

// ---- all or nothing

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Counted {
    fn new() -> Self {
        MADE.fetch_add(1, Ordering::SeqCst);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

/// Its one instance is counted.
#[server_endpoint("/counted", scope = singleton)]
struct OnlyOne {
    #[init(Counted::new())]
    counted: Counted,
}

#[handlers]
impl OnlyOne {
    #[on_message]
    fn message(&self, text: String) -> String {
        let _ = &self.counted;
        text
    }
}

/// The counters belong to this test alone.
#[tokio::test]
async fn all_or_nothing() {
    let directory = Directory::new();
    let socket = directory.file("app.sock");
    let on_socket = |exporter: ServerEndpointExporter| exporter.bind(format!("unix:{}", socket.display()));
    let never = |_: &endpoint_runtime::Server| panic!("it was ready");
    let counts = || (MADE.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst));

    // A problem: no instance, and no listener, which would have replaced this file.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let before = std::fs::metadata(&socket).unwrap();
    let exporter = on_socket(only::<OnlyOne>()).expect_paths(["/nowhere"]).on_ready(never);
    assert!(exporter.start().await.is_err());
    assert_eq!(counts(), (0, 0));
    let after = std::fs::metadata(&socket).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&before), std::os::unix::fs::MetadataExt::ino(&after));

    // `check` starts nothing either.
    assert_eq!(only::<OnlyOne>().check().problems(), []);
    assert_eq!(counts(), (0, 0));

    // One address of three is in use: the others are let go, and so is the instance.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let taken_address = taken.local_addr().unwrap();
    let exporter = endpoint_runtime::export_all()
        .settings(endpoint_runtime::Settings::default())
        .only(ServerEndpointConfig::is::<OnlyOne>);
    let exporter = on_socket(exporter.bind(free.to_string())).bind(taken_address.to_string()).on_ready(never);
    let error = exporter.start().await.unwrap_err();
    let problems = error.downcast_ref::<DeployError>().unwrap().problems().to_vec();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains(&format!("cannot listen on {taken_address}")), "{error}");
    assert_eq!(counts().0, counts().1, "what was made is dropped");
    assert!(!socket.exists());
    drop(soon("the port", TcpListener::bind(free)).await.unwrap());

    // And without a problem there is one instance, made before the first connection.
    let made = counts().0;
    let server = start(only::<OnlyOne>()).await;
    assert_eq!(counts().0, made + 1);
    server.shutdown().await;
}

#[tokio::test]
async fn every_address_that_is_in_use_is_named() {
    let one = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let two = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (config, _reports) = Reporter::at("/in-use");
    let exporter = only_these([config]);
    let exporter =
        exporter.bind(one.local_addr().unwrap().to_string()).bind(two.local_addr().unwrap().to_string());
    let error = exporter.start().await.unwrap_err();
    assert_eq!(error.downcast_ref::<DeployError>().unwrap().problems().len(), 2, "{error}");
}
