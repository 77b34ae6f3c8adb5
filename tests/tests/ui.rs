//! What the compiler says about mistakes, and what it says nothing about.
//!
//! `ui/*.rs` are mistakes, each named after itself, with the compiler's answer beside it; `ui/pass/*.rs` must compile. See
//! `ui/README.md`.

use std::fs;

#[test]
fn mistakes_are_explained() {
    let tests = trybuild::TestCases::new();
    tests.pass("ui/pass/*.rs");
    tests.compile_fail("ui/*.rs");
}

/// The negative deployment tests of the Jakarta WebSocket TCK (`negdep`) that there are for servers and for clients, and which mistakes
/// here they are: what Java finds when it deploys or connects, the compiler finds.
///
/// Not here, because no compiler sees it: two endpoints at one path (`multiplepaths`), a `Decoded<T>` that no decoder of the endpoint makes
/// (`textnodecoder` and `binarynodecoder`; a type that has nothing to do with messages is in `not_a_message`), and that one bad endpoint
/// stops all others (`nomoreendpoints`). The exporter finds these.
const TCK: &[(&str, &[&str])] = &[
    ("onopen duplicate", &["two_on_open"]),
    ("onopen toomanyargs", &["not_available_here"]),
    ("onclose duplicate", &["two_on_close"]),
    ("onclose toomanyargs", &["not_available_here"]),
    ("onerror duplicate", &["two_on_error", "two_on_error_under_two_names"]),
    ("onerror toomanyargs", &["two_errors", "error_missing", "not_available_here"]),
    ("onmessage textduplicate", &["two_text_methods", "two_forms_of_one_kind", "message_beside_text"]),
    ("onmessage binaryduplicate", &["two_binary_methods", "two_forms_of_one_kind"]),
    ("onmessage pongduplicate", &["two_pong_methods"]),
    ("onmessage textbigdecimal", &["not_a_message"]),
    ("onmessage textnodecoder", &["not_a_message"]),
    ("onmessage binarynodecoder", &["not_a_message"]),
    ("onmessage textstringint", &["two_messages"]),
    ("onmessage binarybytebufferint", &["two_messages"]),
    ("onmessage textreaderboolean", &["two_messages"]),
    ("onmessage binaryinputstreamboolean", &["two_messages"]),
    ("onmessage pongboolean", &["two_messages"]),
];

/// Those that there are for servers alone; a client has no path at all (`path_on_client`).
const TCK_OF_SERVERS: &[(&str, &[&str])] =
    &[("invalidpathparamtype", &["path_of_a_wrong_type"]), ("malformedpath", &["malformed_path"])];

#[test]
fn the_tck_has_its_counterparts() {
    let source = |file: &str| {
        fs::read_to_string(format!("ui/{file}.rs")).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    for (case, files) in TCK.iter().chain(TCK_OF_SERVERS) {
        for file in *files {
            assert!(source(file).contains("#[server_endpoint("), "{case}: {file} has no server");
        }
    }
    for (case, files) in TCK {
        let has_client = files.iter().any(|file| source(file).contains("#[client_endpoint"));
        assert!(has_client, "{case}: nothing for a client");
    }
}
