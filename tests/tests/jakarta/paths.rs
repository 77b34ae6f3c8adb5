//! Group L and the URI matching of group R: path parameters.

use std::io;
use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{Endpoint, ServerEndpointConfig};

use crate::stage::{Lacking, these};
use crate::table::rows;
use crate::told::{Heard, Told, diary};

// ---- L: parameters

/// Endpoints whose methods all take the same variables, and tell what they got: one row for each of the five events.
macro_rules! endpoints {
    ($($name:ident $path:literal ($($variable:ident: $ty:ty),*);)*) => {
        $(
            #[server_endpoint($path)]
            struct $name {
                #[inject]
                told: Arc<Told>,
            }

            #[handlers]
            #[allow(clippy::too_many_arguments)] // That is what is tested.
            impl $name {
                #[on_open]
                fn open(&self, $(#[path] $variable: $ty),*) {
                    self.told.tell(format_args!("on_open {:?}", ($($variable,)*)));
                }

                #[on_message]
                fn message(&self, text: String, $(#[path] $variable: $ty),*) -> Result<()> {
                    self.told.tell(format_args!("on_message {:?}", ($($variable,)*)));
                    match text.as_str() {
                        "io" => Err(io::Error::other(text).into()),
                        _ => Err(Error::msg(text)),
                    }
                }

                #[on_error]
                fn error(&self, error: &Error, $(#[path] $variable: $ty),*) {
                    self.told.tell(format_args!("on_error {error} {:?}", ($($variable,)*)));
                }

                #[on_close]
                fn close(&self, $(#[path] $variable: $ty),*) {
                    self.told.tell(format_args!("on_close {:?}", ($($variable,)*)));
                }
            }
        )*

        /// The name of a row, and its endpoint.
        fn endpoints() -> Vec<(&'static str, ServerEndpointConfig)> {
            vec![$((stringify!($name), ServerEndpointConfig::of::<$name>())),*]
        }
    };
}

endpoints! {
    Strings1 "/pp/1/{a}" (a: String);
    Strings2 "/pp/2/{a}/{b}" (a: String, b: String);
    Strings3 "/pp/3/{a}/{b}/{c}" (a: String, b: String, c: String);
    Strings4 "/pp/4/{a}/{b}/{c}/{d}" (a: String, b: String, c: String, d: String);
    Strings5 "/pp/5/{a}/{b}/{c}/{d}/{e}" (a: String, b: String, c: String, d: String, e: String);
    Strings6 "/pp/6/{a}/{b}/{c}/{d}/{e}/{f}" (a: String, b: String, c: String, d: String, e: String, f: String);
    Strings7 "/pp/7/{a}/{b}/{c}/{d}/{e}/{f}/{g}"
        (a: String, b: String, c: String, d: String, e: String, f: String, g: String);
    Strings8 "/pp/8/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}"
        (a: String, b: String, c: String, d: String, e: String, f: String, g: String, h: String);
    Strings9 "/pp/9/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"
        (a: String, b: String, c: String, d: String, e: String, f: String, g: String, h: String, i: String);
    Strings10 "/pp/10/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}"
        (a: String, b: String, c: String, d: String, e: String, f: String, g: String, h: String, i: String, j: String);
    Strings11 "/pp/11/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}"
        (a: String, b: String, c: String, d: String, e: String, f: String, g: String, h: String, i: String, j: String, k: String);
    // In another order than in the path, and not all of them.
    Backwards "/pp/backwards/{a}/{b}/{c}" (c: String, a: String);
    Long "/pp/long/{a}" (a: i64);
    BooleanAndChar "/pp/boolean-char/{a}/{b}" (a: bool, b: char);
    DoubleAndFloat "/pp/double-float/{a}/{b}" (a: f64, b: f32);
    // Boxed types are those that may be missing; here none is.
    Boxed "/pp/boxed/{a}/{b}/{c}" (a: Option<i16>, b: Option<u8>, c: Option<char>);
    Absent "/pp/absent/{a}/{b}" (a: Option<String>, b: Option<i64>);
}

/// The path of each row, and what its methods get.
const PARAMETERS: [(&str, &str, &str); 16] = [
    ("Strings1", "/pp/1/one", r#"("one",)"#),
    ("Strings2", "/pp/2/one/two", r#"("one", "two")"#),
    ("Strings3", "/pp/3/one/two/x=y", r#"("one", "two", "x=y")"#),
    ("Strings4", "/pp/4/1/2/3/4", r#"("1", "2", "3", "4")"#),
    ("Strings5", "/pp/5/1/2/3/4/5", r#"("1", "2", "3", "4", "5")"#),
    ("Strings6", "/pp/6/1/2/3/4/5/6", r#"("1", "2", "3", "4", "5", "6")"#),
    ("Strings7", "/pp/7/1/2/3/4/5/6/7", r#"("1", "2", "3", "4", "5", "6", "7")"#),
    ("Strings8", "/pp/8/1/2/3/4/5/6/7/8", r#"("1", "2", "3", "4", "5", "6", "7", "8")"#),
    ("Strings9", "/pp/9/1/2/3/4/5/6/7/8/9", r#"("1", "2", "3", "4", "5", "6", "7", "8", "9")"#),
    ("Strings10", "/pp/10/1/2/3/4/5/6/7/8/9/10", r#"("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")"#),
    (
        "Strings11",
        "/pp/11/1/2/3/4/5/6/7/8/9/10/a%20b",
        r#"("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "a b")"#,
    ),
    ("Backwards", "/pp/backwards/one/two/three", r#"("three", "one")"#),
    ("Long", "/pp/long/-9223372036854775808", "(-9223372036854775808,)"),
    ("BooleanAndChar", "/pp/boolean-char/true/%C3%A9", "(true, 'é')"),
    ("DoubleAndFloat", "/pp/double-float/1.5e300/-0.25", "(1.5e300, -0.25)"),
    ("Boxed", "/pp/boxed/-7/255/x", "(Some(-7), Some(255), Some('x'))"),
];

async fn app() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    let configs = endpoints().into_iter().map(|(_, config)| config);
    (these(configs).provide(told).start().await, heard)
}

/// Makes all five events happen to the peer's session: each gets the values.
async fn all_events(mut peer: Peer, heard: &mut Heard, values: &str) {
    for text in ["io", "runtime"] {
        peer.send(text).await.unwrap();
    }
    for event in ["on_open", "on_message", "on_error io", "on_message", "on_error runtime"] {
        heard.expect(&format!("{event} {values}")).await;
    }
    peer.close(1000, "").await.unwrap();
    heard.expect(&format!("on_close {values}")).await;
}

/// PP-01, PP-04, PP-05: {open, message, error after an I/O error, error after another, close} × what is declared.
#[tokio::test(start_paused = true)]
async fn every_method_gets_the_variables_of_its_path() {
    // Every endpoint has its row, but for the one that is not reached by its path.
    let names: Vec<_> =
        endpoints().into_iter().map(|(name, _)| name).filter(|name| *name != "Absent").collect();
    assert_eq!(names, PARAMETERS.map(|(name, ..)| name));
    rows(PARAMETERS.map(|(name, path, values)| {
        (name, async move {
            let (app, mut heard) = app().await;
            all_events(app.connect(path).await.unwrap(), &mut heard, values).await;
        })
    }))
    .await;
}

/// The kit's row of parameters whose variables are not there. A name that the template lacks is no program here
/// (`ui/path_not_in_template.rs`); a session that came another way may lack the variables themselves.
#[tokio::test(start_paused = true)]
async fn a_variable_that_is_absent_is_none_in_every_method() {
    let (told, mut heard) = diary();
    let absent = Lacking(Arc::new(ServerEndpointConfig::of::<Absent>()));
    let app = these([]).provide(told).with(|exporter| exporter.fallback(absent)).start().await;
    all_events(app.connect("/anywhere").await.unwrap(), &mut heard, "(None, None)").await;
}

/// PP-07, where it is better to be told before there is a session: 400, and no method is called.
#[tokio::test(start_paused = true)]
async fn a_segment_that_does_not_convert_is_refused_before_the_upgrade() {
    let table = [
        ("/pp/long/1.0", "a"),
        ("/pp/long/9223372036854775808", "a"),
        ("/pp/long/%201", "a"),
        ("/pp/long/one", "a"),
        ("/pp/boolean-char/TRUE/x", "a"),
        ("/pp/boolean-char/1/x", "a"),
        ("/pp/boolean-char/true/xy", "b"),
        ("/pp/double-float/one/1", "a"),
        ("/pp/double-float/1/1,5", "b"),
        // What may be missing must be right where it is there.
        ("/pp/boxed/32768/1/x", "a"),
        ("/pp/boxed/1/-1/x", "b"),
        ("/pp/boxed/1/256/x", "b"),
        ("/pp/boxed/1/1/xy", "c"),
    ];
    rows(table.map(|(path, variable)| {
        (path, async move {
            let (app, mut heard) = app().await;
            let refused = app.connect(path).await.unwrap_err();
            assert_eq!(refused.status(), 400, "{refused}");
            assert!(refused.reason().starts_with(&format!("`{variable}`: ")), "{refused}");
            assert_eq!((app.sessions().count(), heard.so_far()), (0, vec![]));
        })
    }))
    .await;
}

// ---- R: matching

/// Says which template was met, and by what.
struct Where(&'static str);

impl Endpoint for Where {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let mut said = self.0.to_owned();
        for (name, value) in session.handshake().path_params().iter() {
            said.push_str(&format!(" {name}={value}"));
        }
        Ok(session.send(said).await?)
    }
}

/// Whoever is not answered by an endpoint is answered 404: nothing else passes for "no match".
const NO_MATCH: &str = "404";

/// A request at these templates: the template that gets it and its variables, or [`NO_MATCH`].
async fn matched(templates: &[&'static str], path: &str, expected: &str) {
    let config = |&path: &&'static str| ServerEndpointConfig::builder(path, move || Where(path)).build();
    let app = these(templates.iter().map(config)).start().await;
    let said = match app.connect(path).await {
        Ok(mut peer) => peer.text().await,
        Err(refused) => refused.status().to_string(),
    };
    assert_eq!(said, expected);
    assert_eq!(app.sessions().count(), usize::from(expected != NO_MATCH));
}

/// As `urimatching` deploys them: all of them at once.
const DEPLOYED: [&str; 14] = [
    "/a",
    "/{a}",
    "/c/{d}",
    "/c/d",
    "/{c}/d",
    "/{c}/{d}",
    "/e/f/g",
    "/e/f/{g}",
    "/e/{f}/g",
    "/e/{f}/{g}",
    "/{e}/f/g",
    "/{e}/f/{g}",
    "/{e}/{f}/g",
    "/{e}/{f}/{g}",
];

/// WSC-3.1.1-1, -3 and -4: the 15 cases of `urimatching`.
#[tokio::test(start_paused = true)]
async fn the_most_literal_template_from_left_to_right_is_matched() {
    let table = [
        ("/a", "/a"),
        ("/b", "/{a} a=b"),
        ("/c/x", "/c/{d} d=x"),
        ("/c/d", "/c/d"),
        ("/x/d", "/{c}/d c=x"),
        ("/x/y", "/{c}/{d} c=x d=y"),
        ("/e/f/g", "/e/f/g"),
        ("/e/f/x", "/e/f/{g} g=x"),
        ("/e/x/g", "/e/{f}/g f=x"),
        ("/e/x/y", "/e/{f}/{g} f=x g=y"),
        ("/x/f/g", "/{e}/f/g e=x"),
        ("/x/f/y", "/{e}/f/{g} e=x g=y"),
        ("/x/y/g", "/{e}/{f}/g e=x f=y"),
        ("/x/y/z", "/{e}/{f}/{g} e=x f=y g=z"),
        ("/a/c/d/e", NO_MATCH),
    ];
    rows(table.map(|(path, expected)| (path, matched(&DEPLOYED, path, expected)))).await;
}

/// The examples of the specification, and what its algorithm and its text disagree on.
#[tokio::test(start_paused = true)]
async fn the_vectors_of_the_specification_are_matched() {
    const SLASH: &[&str] = &["/a/b/"];
    const VARIABLE: &[&str] = &["/a/{var}"];
    const THREE: &[&str] = &["/a/{var}/c", "/a/b/c", "/a/{v1}/{v2}"];
    const LEFT: &[&str] = &["/{v1}/d", "/b/{v2}"];
    const BACK: &[&str] = &["/a/{x}/c", "/{y}/b/d"];
    const EXPANSION: &[&str] = &["/a/{x}", "/a/b", "/a/b/{x}"];
    let table = [
        (SLASH, "/a/b/", "/a/b/"),
        (SLASH, "/a/b", NO_MATCH),
        (VARIABLE, "/a/b", "/a/{var} var=b"),
        (VARIABLE, "/a/apple", "/a/{var} var=apple"),
        (VARIABLE, "/a", NO_MATCH),
        (VARIABLE, "/a/", NO_MATCH),
        (VARIABLE, "/a/b/", NO_MATCH),
        (VARIABLE, "/a/b/c", NO_MATCH),
        (THREE, "/a/b/c", "/a/b/c"),
        (THREE, "/a/d/c", "/a/{var}/c var=d"),
        (THREE, "/a/x/y", "/a/{v1}/{v2} v1=x v2=y"),
        (LEFT, "/b/d", "/b/{v2} v2=d"),
        (LEFT, "/c/d", "/{v1}/d v1=c"),
        (LEFT, "/c/e", NO_MATCH),
        // Where the walk from left to right ends in nothing, there may still be a match.
        (BACK, "/a/b/d", "/{y}/b/d y=a"),
        (BACK, "/a/b/c", "/a/{x}/c x=b"),
        (BACK, "/c/b/c", NO_MATCH),
        // A path that another's template could expand to is no conflict.
        (EXPANSION, "/a/b", "/a/b"),
        (EXPANSION, "/a/c", "/a/{x} x=c"),
        (EXPANSION, "/a/b/c", "/a/b/{x} x=c"),
    ];
    rows(table.map(|(templates, path, expected)| {
        (format!("{path} at {templates:?}"), matched(templates, path, expected))
    }))
    .await;
}

/// WSC-3.1.1-2, WSC-4.1.1-4: templates that match the same requests make the application invalid, whatever their variables are called.
#[tokio::test(start_paused = true)]
async fn equivalent_templates_are_no_application() {
    let table = [
        ("/a", "/a", true),
        ("/a/{x}", "/a/{y}", true),
        ("/a/{x}", "/a/{x}", true),
        ("/{x}/b/{y}", "/{y}/b/{x}", true),
        ("/a/{*x}", "/a/{*y}", true),
        ("/a/{x}", "/a/b", false),
        ("/a/{x}", "/a/{x}/", false),
        ("/a/{x}/c", "/a/{x}/d", false),
        ("/a/{x}", "/a/{*x}", false),
        ("/a", "/A", false),
    ];
    rows(table.map(|(one, other, conflict)| {
        (format!("{one} and {other}"), async move {
            let config =
                |path: &'static str| ServerEndpointConfig::builder(path, move || Where(path)).build();
            let exporter = crate::stage::with_only(crate::stage::exporter(), [config(one), config(other)]);
            let report = exporter.check();
            assert_eq!(report.problems().len(), usize::from(conflict), "{report}");
            assert_eq!(exporter.start().await.is_err(), conflict);
        })
    }))
    .await;
}
