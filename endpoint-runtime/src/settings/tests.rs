//! Settings from files and environments, good and bad.

use std::ffi::OsString;
use std::path::PathBuf;

use super::*;

const FILE: &str = "conf/endpoint.toml";

fn read(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(Some((Path::new(FILE), file)), environment)
}

/// All problems that are found in a file and an environment.
fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    read(file, environment).expect_err(file).problems().to_vec()
}

#[test]
fn nothing_set_means_the_defaults() {
    let unset = Settings::from_sources(None, std::iter::empty()).unwrap();
    assert_eq!(unset, Settings::default());
    assert_eq!(read("", &[]).unwrap(), unset);
    assert_eq!(read("# nothing\n", &[("PORT", "9000"), ("HOME", "/"), ("ENDPOINTS", "x")]).unwrap(), unset);
}

/// All settings, as a file and as an environment write them, none at its default.
fn everything() -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        bind: vec!["0.0.0.0:9000".into(), "unix:/run/app.sock".into()],
        reuse_port: true,
        prefix: "/ws".into(),
        max_message_size: 1 << 20,
        idle_timeout: Some(seconds(60)),
        ping_interval: None,
        pong_timeout: seconds(1),
        send_buffer: 70_000,
        send_timeout: seconds(2),
        overflow: Overflow::DropOldest,
        compression: Compression::Context,
        compression_threshold: 2048,
        origins: Some(vec!["https://example.com".into(), "http://localhost:3000".into()]),
        handler_grace: Duration::ZERO,
        close_timeout: Duration::from_millis(250),
        drain_delay: seconds(5),
        drain_timeout: seconds(7200),
        drain_batch: 10,
        drain_interval: Duration::ZERO,
        drain_grace: seconds(1),
        destroy_timeout: seconds(20),
        max_connections: 0,
        max_connections_per_address: 8,
        max_connections_per_principal: 9,
        handshake_rate: Some(Rate::per_second(500)),
        handshake_rate_per_address: None,
        message_rate: Some(Rate::per_second(10).burst(20)),
        byte_rate: Some(Rate::per_second(65_536).burst(1 << 20)),
        over_rate: OverRate::Close,
        max_queue_memory: Some(1 << 30),
        max_body_size: 4096,
        max_head_size: 32_768,
        max_headers: 50,
        head_timeout: seconds(180),
        http2: false,
        http2_max_streams: 20,
        http2_max_resets: 30,
        handshake_timeout: seconds(4),
        tls_certificate: Some("server.pem".into()),
        tls_key: Some("/etc/server.key".into()),
        tls_client_authorities: Some("clients.pem".into()),
        tls_client_certificates: ClientCertificates::Optional,
        tls_handshake_timeout: seconds(5),
        tls_reload_interval: None,
        values: Values::default(),
        trusted_proxies: vec!["10.0.0.0/8".into(), "::1".into(), "unix".into()],
        proxy_protocol: true,
        node_name: Some("blue".into()),
        cluster_deadline: Duration::from_millis(500),
        cluster_queue: 1 << 20,
        ready_when_isolated: true,
        close_when_isolated: Some(Duration::from_secs(30)),
    }
}

#[test]
fn everything_can_be_set_in_the_file() {
    let file = r#"
        bind = ["0.0.0.0:9000", "unix:/run/app.sock"]
        reuse_port = true
        prefix = "/ws"
        max_message_size = "1MiB"
        idle_timeout = "60s"
        ping_interval = "off"
        pong_timeout = "1s"
        send_buffer = 70_000
        send_timeout = "2s"
        overflow = "drop_oldest"
        compression = "context"
        compression_threshold = "2KiB"
        origins = ["https://example.com", "http://localhost:3000"]
        handler_grace = "0s"
        close_timeout = "250ms"
        drain_delay = "5s"
        drain_timeout = "2h"
        drain_batch = 10
        drain_interval = "0ms"
        drain_grace = "1s"
        destroy_timeout = "20s"
        max_connections = 0
        max_connections_per_address = 8
        max_connections_per_principal = 9
        handshake_rate = 500
        handshake_rate_per_address = "off"
        message_rate = "10 burst 20"
        byte_rate = "64KiB burst 1MiB"
        over_rate = "close"
        max_queue_memory = "1GiB"
        max_body_size = "4KiB"
        max_head_size = 0x8000
        max_headers = 50
        head_timeout = "3m"
        http2 = "off"
        http2_max_streams = 20
        http2_max_resets = 30
        handshake_timeout = "4s"
        tls_certificate = "server.pem"
        tls_key = "/etc/server.key"
        tls_client_authorities = "clients.pem"
        tls_client_certificates = "optional"
        tls_handshake_timeout = "5s"
        tls_reload_interval = "off"
        trusted_proxies = ["10.0.0.0/8", "::1", "unix"]
        proxy_protocol = true
        node_name = "blue"
        cluster_deadline = "500ms"
        cluster_queue = "1MiB"
        ready_when_isolated = true
        close_when_isolated = "30s"
    "#;
    assert_eq!(read(file, &[]).unwrap(), everything());
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("ENDPOINT_BIND", "0.0.0.0:9000, unix:/run/app.sock"),
    ("ENDPOINT_REUSE_PORT", "true"),
    ("ENDPOINT_PREFIX", "/ws"),
    ("ENDPOINT_MAX_MESSAGE_SIZE", "1MiB"),
    ("ENDPOINT_IDLE_TIMEOUT", "60s"),
    ("ENDPOINT_PING_INTERVAL", "off"),
    ("ENDPOINT_PONG_TIMEOUT", "1s"),
    ("ENDPOINT_SEND_BUFFER", "70000"),
    ("ENDPOINT_SEND_TIMEOUT", "2s"),
    ("ENDPOINT_OVERFLOW", "drop_oldest"),
    ("ENDPOINT_COMPRESSION", "context"),
    ("ENDPOINT_COMPRESSION_THRESHOLD", "2048"),
    ("ENDPOINT_ORIGINS", "https://example.com,http://localhost:3000"),
    ("ENDPOINT_HANDLER_GRACE", "0s"),
    ("ENDPOINT_CLOSE_TIMEOUT", "250ms"),
    ("ENDPOINT_DRAIN_DELAY", "5s"),
    ("ENDPOINT_DRAIN_TIMEOUT", "2h"),
    ("ENDPOINT_DRAIN_BATCH", "10"),
    ("ENDPOINT_DRAIN_INTERVAL", "0s"),
    ("ENDPOINT_DRAIN_GRACE", "1s"),
    ("ENDPOINT_DESTROY_TIMEOUT", "20s"),
    ("ENDPOINT_MAX_CONNECTIONS", "0"),
    ("ENDPOINT_MAX_CONNECTIONS_PER_ADDRESS", "8"),
    ("ENDPOINT_MAX_CONNECTIONS_PER_PRINCIPAL", "9"),
    ("ENDPOINT_HANDSHAKE_RATE", "500"),
    ("ENDPOINT_HANDSHAKE_RATE_PER_ADDRESS", "off"),
    ("ENDPOINT_MESSAGE_RATE", "10 burst 20"),
    ("ENDPOINT_BYTE_RATE", "65536 burst 1MiB"),
    ("ENDPOINT_OVER_RATE", "close"),
    ("ENDPOINT_MAX_QUEUE_MEMORY", "1GiB"),
    ("ENDPOINT_MAX_BODY_SIZE", "4096"),
    ("ENDPOINT_MAX_HEAD_SIZE", "32KiB"),
    ("ENDPOINT_MAX_HEADERS", "50"),
    ("ENDPOINT_HEAD_TIMEOUT", "3m"),
    ("ENDPOINT_HTTP2", "off"),
    ("ENDPOINT_HTTP2_MAX_STREAMS", "20"),
    ("ENDPOINT_HTTP2_MAX_RESETS", "30"),
    ("ENDPOINT_HANDSHAKE_TIMEOUT", "4s"),
    ("ENDPOINT_TLS_CERTIFICATE", "server.pem"),
    ("ENDPOINT_TLS_KEY", "/etc/server.key"),
    ("ENDPOINT_TLS_CLIENT_AUTHORITIES", "clients.pem"),
    ("ENDPOINT_TLS_CLIENT_CERTIFICATES", "optional"),
    ("ENDPOINT_TLS_HANDSHAKE_TIMEOUT", "5s"),
    ("ENDPOINT_TLS_RELOAD_INTERVAL", "off"),
    ("ENDPOINT_TRUSTED_PROXIES", "10.0.0.0/8, ::1, unix"),
    ("ENDPOINT_PROXY_PROTOCOL", "true"),
    ("ENDPOINT_NODE_NAME", "blue"),
    ("ENDPOINT_CLUSTER_DEADLINE", "500ms"),
    ("ENDPOINT_CLUSTER_QUEUE", "1MiB"),
    ("ENDPOINT_READY_WHEN_ISOLATED", "true"),
    ("ENDPOINT_CLOSE_WHEN_ISOLATED", "30s"),
];

#[test]
fn everything_can_be_set_in_the_environment() {
    assert_eq!(read("", ENVIRONMENT).unwrap(), everything());
}

#[test]
fn a_variable_wins_over_the_file() {
    let settings = read(
        "ping_interval = \"1s\"\npong_timeout = \"2s\"\ndrain_batch = 0",
        &[("ENDPOINT_PING_INTERVAL", "3s"), ("ENDPOINT_DRAIN_BATCH", "5")],
    )
    .unwrap();
    assert_eq!(settings.ping_interval, Some(Duration::from_secs(3)));
    assert_eq!(settings.pong_timeout, Duration::from_secs(2));
    assert_eq!(settings.drain_batch, 5);
}

#[test]
fn overflow_has_four_policies() {
    let all = [Overflow::Disconnect, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest];
    for policy in all {
        assert_eq!(read(&format!("overflow = \"{policy}\""), &[]).unwrap().overflow, policy);
    }
}

#[test]
fn compression_has_three_words() {
    for word in [Compression::On, Compression::Context, Compression::Off] {
        assert_eq!(read(&format!("compression = \"{word}\""), &[]).unwrap().compression, word);
        assert_eq!(read("", &[("ENDPOINT_COMPRESSION", word.as_str())]).unwrap().compression, word);
    }
    let defaults = Settings::default();
    assert_eq!((defaults.compression, defaults.compression_threshold), (Compression::On, 1024));
    // Every message may be compressed.
    assert_eq!(read("compression_threshold = 0", &[]).unwrap().compression_threshold, 0);
}

#[test]
fn a_bad_file_is_told_with_line_and_column() {
    let not_a_duration = "is not a duration: write one like \"250ms\", \"30s\", \"5m\", \"1h\", or \"off\"";
    let not_a_size = "is not a size: write a number of bytes, or \"64KiB\", \"1MiB\", \"1GiB\"";
    let table: &[(&str, &str)] = &[
        (
            "\nping_intervall = \"1s\"",
            "2:1: `ping_intervall` is not a setting: did you mean `ping_interval`?",
        ),
        (
            "max_size = 1",
            "1:1: `max_size` is not a setting: did you mean `max_body_size`, `max_head_size` or `max_message_size`?",
        ),
        ("[bind]\n", "1:1: `bind`: a table is not a list: write [\"first\", \"second\"]"),
        (
            "\n [server]\nport = 1\n",
            "2:3: `server` is not a setting: there are `bind`, `reuse_port`, `prefix`, `max_message_size`, `idle_timeout`, `ping_interval`, \
             `pong_timeout`, `send_buffer`, `send_timeout`, `overflow`, `compression`, `compression_threshold`, `origins`, \
             `handler_grace`, `close_timeout`, `drain_delay`, `drain_timeout`, `drain_batch`, `drain_interval`, `drain_grace`, `destroy_timeout`, \
             `max_connections`, `max_connections_per_address`, `max_connections_per_principal`, `handshake_rate`, `handshake_rate_per_address`, \
             `message_rate`, `byte_rate`, `over_rate`, `max_queue_memory`, `max_body_size`, `max_head_size`, `max_headers`, `head_timeout`, \
             `http2`, `http2_max_streams`, `http2_max_resets`, `handshake_timeout`, `tls_certificate`, `tls_key`, `tls_client_authorities`, \
             `tls_client_certificates`, `tls_handshake_timeout`, `tls_reload_interval`, `trusted_proxies`, `proxy_protocol`, `node_name`, \
             `cluster_deadline`, `cluster_queue`, `ready_when_isolated` and `close_when_isolated`",
        ),
        ("ping_interval = 25s", "1:17: string values must be quoted, expected literal string"),
        ("bind = \"a:1\"\nbind = \"b:1\"", "2:1: duplicate key"),
        (
            "ping_interval = 25",
            "1:17: `ping_interval`: \"25\" has no unit: write \"25s\" for seconds, or ms, m, h",
        ),
        ("ping_interval = false", &format!("1:17: `ping_interval`: false {not_a_duration}")),
        ("ping_interval = 1.5", &format!("1:17: `ping_interval`: 1.5 {not_a_duration}")),
        ("ping_interval = 10:00:00", &format!("1:17: `ping_interval`: 10:00:00 {not_a_duration}")),
        ("max_message_size = \"64KB\"", &format!("1:20: `max_message_size`: \"64KB\" {not_a_size}")),
        ("max_message_size = -1", &format!("1:20: `max_message_size`: -1 {not_a_size}")),
        ("max_message_size = [1]", &format!("1:20: `max_message_size`: an array {not_a_size}")),
        (
            "send_buffer = 99999999999999999999",
            &format!("1:15: `send_buffer`: 99999999999999999999 {not_a_size}"),
        ),
        ("drain_batch = \"1KiB\"", "1:15: `drain_batch`: \"1KiB\" is not a count: write a whole number"),
        ("bind = [\"localhost:1\", 2]", "1:8: `bind`: 2 is not a text: write it in quotes"),
        ("bind = \"localhost:1,\"", "1:8: `bind`: an item of the list is empty: remove it"),
        (
            "overflow = \"drop\"",
            "1:12: `overflow`: \"drop\" is not what can be done on overflow: write one of \"disconnect\", \"wait\", \
             \"drop_newest\", \"drop_oldest\"",
        ),
        (
            "compression = true",
            "1:15: `compression`: true says nothing about compression: write one of \"on\", \"context\", \"off\"",
        ),
        (
            "compression = \"deflate\"",
            "1:15: `compression`: \"deflate\" says nothing about compression: write one of \"on\", \"context\", \"off\"",
        ),
        ("tls_key = 1", "1:11: `tls_key`: 1 is not the name of a file: write it in quotes"),
        (
            "tls_client_certificates = \"maybe\"",
            "1:27: `tls_client_certificates`: \"maybe\" says nothing about certificates of clients: write one of \
             \"required\", \"optional\"",
        ),
        ("http2 = 2", "1:9: `http2`: 2 is neither true nor false: write one of them"),
        ("compression_threshold = \"1KB\"", &format!("1:25: `compression_threshold`: \"1KB\" {not_a_size}")),
    ];
    for (file, problem) in table {
        assert_eq!(problems(file, &[]), [format!("{FILE}:{problem}")], "{file}");
    }
}

#[test]
fn a_bad_variable_is_told_by_name() {
    let table = [
        (
            ("ENDPOINT_PING", "1s"),
            "the environment: `ENDPOINT_PING` is not a setting: did you mean `ENDPOINT_PING_INTERVAL`?",
        ),
        (
            ("ENDPOINT_PORT", "9000"),
            "the environment: `ENDPOINT_PORT` is not a setting: did you mean `ENDPOINT_BIND`?",
        ),
        (
            ("ENDPOINT_bind", "localhost:1"),
            "the environment: `ENDPOINT_bind` is not a setting: did you mean `ENDPOINT_BIND`?",
        ),
        (
            ("ENDPOINT_PING_INTERVAL", "25"),
            "ENDPOINT_PING_INTERVAL: \"25\" has no unit: write \"25s\" for seconds, or ms, m, h",
        ),
        (
            ("ENDPOINT_DRAIN_BATCH", "ten"),
            "ENDPOINT_DRAIN_BATCH: \"ten\" is not a count: write a whole number",
        ),
        (("ENDPOINT_ORIGINS", " "), "ENDPOINT_ORIGINS: the value is empty: give one, or unset it"),
        (
            ("ENDPOINT_BIND", "9000"),
            "ENDPOINT_BIND: \"9000\" is not where one can listen: write \"127.0.0.1:9000\", or \"0.0.0.0:9000\" for all \
             interfaces",
        ),
    ];
    for (variable, problem) in table {
        assert_eq!(problems("", &[variable]), [problem], "{variable:?}");
    }
}

#[test]
fn what_would_break_a_server_is_refused_with_the_reason() {
    let table = [
        ("bind = []", "1:8: `bind`: an empty list listens nowhere"),
        ("bind = \"localhost\"", "1:8: `bind`: \"localhost\" is not where one can listen"),
        ("max_message_size = 0", "1:20: `max_message_size`: 0 admits no message"),
        ("idle_timeout = \"0s\"", "1:16: `idle_timeout`: 0s would close every session at once"),
        ("ping_interval = \"0s\"", "1:17: `ping_interval`: 0s would ping without pause"),
        ("pong_timeout = \"0s\"", "1:16: `pong_timeout`: 0s leaves no time to answer a ping"),
        (
            "pong_timeout = \"off\"",
            "1:16: `pong_timeout`: cannot be \"off\": a dead peer would never be found",
        ),
        ("send_buffer = 0", "1:15: `send_buffer`: 0 has no room for any message"),
        ("send_timeout = \"0ms\"", "1:16: `send_timeout`: 0s leaves no time to wait"),
        ("send_timeout = \"off\"", "1:16: `send_timeout`: cannot be \"off\": one slow peer"),
        ("origins = \"example.com\"", "1:11: `origins`: \"example.com\" is not an origin"),
        ("handler_grace = \"off\"", "1:17: `handler_grace`: cannot be \"off\": a handler that never returns"),
        ("close_timeout = \"0s\"", "1:17: `close_timeout`: 0s leaves no time for a closing handshake"),
        ("close_timeout = \"off\"", "1:17: `close_timeout`: cannot be \"off\": a peer that never answers"),
        ("drain_timeout = \"off\"", "1:17: `drain_timeout`: cannot be \"off\": one peer"),
        ("reuse_port = 1", "1:14: `reuse_port`: 1 is neither true nor false: write one of them"),
        ("prefix = 1", "1:10: `prefix`: 1 is not a path"),
        (
            "prefix = \"/ws/\"",
            "1:10: `prefix`: \"/ws/\" cannot stand before a path: write it without a slash",
        ),
        ("drain_delay = \"off\"", "1:15: `drain_delay`: cannot be \"off\": the server would never stop"),
        ("drain_grace = \"off\"", "1:15: `drain_grace`: cannot be \"off\": a client that never asks"),
        ("drain_batch = 0", "1:15: `drain_batch`: 0 never closes a session"),
        ("drain_interval = \"off\"", "1:18: `drain_interval`: cannot be \"off\": write \"0s\""),
        ("max_head_size = 8191", "1:17: `max_head_size`: less than 8KiB"),
        ("max_headers = 4", "1:15: `max_headers`: less than 5"),
        ("max_headers = 10001", "1:15: `max_headers`: more than 10000"),
        ("head_timeout = \"0s\"", "1:16: `head_timeout`: 0s leaves no time to send a request"),
        ("head_timeout = \"off\"", "1:16: `head_timeout`: cannot be \"off\": a silent client"),
        ("http2_max_streams = 0", "1:21: `http2_max_streams`: 0 admits no request"),
        ("http2_max_streams = 10001", "1:21: `http2_max_streams`: more than 10000"),
        ("http2_max_resets = 0", "1:20: `http2_max_resets`: 0 closes the connection of whoever"),
        ("handshake_timeout = \"0s\"", "1:21: `handshake_timeout`: 0s leaves a configurator no time"),
        ("handshake_timeout = \"off\"", "1:21: `handshake_timeout`: cannot be \"off\": a configurator"),
        (
            "tls_handshake_timeout = \"0s\"",
            "1:25: `tls_handshake_timeout`: 0s leaves no time for the TLS handshake",
        ),
        (
            "tls_handshake_timeout = \"off\"",
            "1:25: `tls_handshake_timeout`: cannot be \"off\": a silent client",
        ),
        (
            "close_when_isolated = \"0s\"",
            "1:23: `close_when_isolated`: 0s would close every session at each hiccup of the engine",
        ),
        ("cluster_queue = 0", "1:17: `cluster_queue`: 0 has no room for any message to other nodes"),
        ("cluster_deadline = \"0s\"", "1:20: `cluster_deadline`: 0s leaves other nodes no time to answer"),
        ("tls_reload_interval = \"0s\"", "1:23: `tls_reload_interval`: 0s would look at files without pause"),
        (
            "tls_certificate = \"a.pem\"",
            "1:19: `tls_certificate`: it needs its private key: write `tls_key` too",
        ),
        ("tls_key = \"a.key\"", "1:11: `tls_key`: it needs its certificate: write `tls_certificate` too"),
        (
            "tls_client_authorities = \"a.pem\"",
            "1:26: `tls_client_authorities`: only who has a certificate can ask for one",
        ),
        ("handshake_rate = 0", "1:18: `handshake_rate`: 0 is not a rate: write how many a second"),
        ("byte_rate = \"1MB\"", "1:13: `byte_rate`: \"1MB\" is not a rate: write how many bytes a second"),
        (
            "over_rate = \"no\"",
            "1:13: `over_rate`: \"no\" is not what can be done over a rate: write one of \"wait\"",
        ),
        ("max_queue_memory = \"off\"", "1:20: `max_queue_memory`: \"off\" is not a size"),
        ("proxy_protocol = 1", "1:18: `proxy_protocol`: 1 is neither true nor false"),
        ("trusted_proxies = \"localhost\"", "1:19: `trusted_proxies`: \"localhost\" is no address"),
        ("head_timeout = \"8761h\"", "1:16: `head_timeout`: \"8761h\" is too long"),
    ];
    for (file, problem) in table {
        let found = problems(file, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{FILE}:{problem}")), "{file}: {found:?}");
    }
}

#[test]
fn what_the_code_sets_can_be_asked_about_too() {
    let century = Duration::from_secs(100 * 366 * 24 * 3600);
    let settings = Settings {
        drain_batch: 0,
        idle_timeout: Some(century),
        handler_grace: century,
        bind: vec![":1".into()],
        ..Settings::default()
    };
    let problems = settings.problems();
    let names: Vec<_> = problems.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["drain_batch", "idle_timeout", "handler_grace", "bind"], "{problems:?}");
}

#[test]
fn all_problems_come_at_once() {
    let file = "ping = 1\nbind = [\n  3,\n]\nsend_buffer = \noverflow = \"no\" # größe\nmax_headers = 0\n";
    let environment = [("ENDPOINT_DRAIN_BATCH", "0"), ("ENDPOINT_HEAD_TIMEOUT", "1")];
    let error = read(file, &environment).unwrap_err();
    assert_eq!(
        error.to_string(),
        "7 problems in the settings:
  conf/endpoint.toml:1:1: `ping` is not a setting: did you mean `ping_interval`?
  conf/endpoint.toml:2:8: `bind`: 3 is not a text: write it in quotes
  conf/endpoint.toml:5:15: string values must be quoted, expected literal string
  conf/endpoint.toml:6:12: `overflow`: \"no\" is not what can be done on overflow: write one of \"disconnect\", \
   \"wait\", \"drop_newest\", \"drop_oldest\"
  ENDPOINT_HEAD_TIMEOUT: \"1\" has no unit: write \"1s\" for seconds, or ms, m, h
  ENDPOINT_DRAIN_BATCH: 0 never closes a session: write how many to close in a round
  conf/endpoint.toml:7:15: `max_headers`: less than 5 refuses every handshake, which needs as many: write 5 or more"
    );
    // A variable that is not understood is not to blame for the value in the file.
    assert_eq!(
        problems("drain_batch = 0", &[("ENDPOINT_DRAIN_BATCH", "x")]),
        [
            "ENDPOINT_DRAIN_BATCH: \"x\" is not a count: write a whole number",
            "conf/endpoint.toml:1:15: `drain_batch`: 0 never closes a session: write how many to close in a round",
        ]
    );
    assert!(
        read("drain_batch = 0", &[])
            .unwrap_err()
            .to_string()
            .starts_with("1 problem in the settings:\n  conf/")
    );
}

/// A directory of its own, removed when the test is done.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("endpoint-settings-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.join(name), content).unwrap();
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let mut sources = Sources::new();
        let environment =
            environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        sources.load(&self.0, environment);
        sources.finish()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_file_in_the_directory_is_read_if_it_is_there() {
    let directory = Directory::new("plain");
    assert_eq!(directory.load(&[]).unwrap(), Settings::default());
    directory.write("endpoint.toml", b"\xEF\xBB\xBFdrain_batch = 7\r\nmax_headers = 60\r\n");
    let settings = directory.load(&[("ENDPOINT_MAX_HEADERS", "70"), ("PORT", "1")]).unwrap();
    assert_eq!((settings.drain_batch, settings.max_headers), (7, 70));
}

#[test]
fn the_environment_may_name_another_file_which_must_exist() {
    let directory = Directory::new("named");
    directory.write("endpoint.toml", b"drain_batch = 7");
    directory.write("other.toml", b"max_headers = 60");
    let settings = directory.load(&[("ENDPOINT_CONFIG", "other.toml")]).unwrap();
    assert_eq!((settings.drain_batch, settings.max_headers), (1000, 60));

    let empty = directory.load(&[("ENDPOINT_CONFIG", "")]).unwrap_err();
    assert_eq!(empty.problems(), ["ENDPOINT_CONFIG: the value is empty: give one, or unset it"]);

    let error = directory.load(&[("ENDPOINT_CONFIG", "none.toml"), ("ENDPOINT_BIND", "1")]).unwrap_err();
    let missing = format!("ENDPOINT_CONFIG: cannot read {}: ", directory.0.join("none.toml").display());
    assert!(error.problems()[0].starts_with(&missing), "{error}");
    assert!(error.problems()[1].starts_with("ENDPOINT_BIND: \"1\" is not where"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let directory = Directory::new("unreadable");
    directory.write("endpoint.toml", b"# \xFF");
    let place = format!("cannot read {}: ", directory.0.join("endpoint.toml").display());
    let error = directory.load(&[]).unwrap_err();
    assert!(error.problems()[0].starts_with(&place), "{error}");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_an_error() {
    use std::os::unix::ffi::OsStringExt;

    let mut sources = Sources::new();
    let value = OsString::from_vec(b"unix:/\xFF".to_vec());
    sources.environment([(OsString::from("ENDPOINT_BIND"), value)].into_iter());
    let error = sources.finish().unwrap_err();
    assert_eq!(error.problems(), ["ENDPOINT_BIND: the value is not UTF-8"]);
}

#[test]
fn what_is_meant_for_the_application_is_told_where_that_stands() {
    let by_variable = problems("", &[("ENDPOINT_CHAT_COLOURS", "3")]).concat();
    let remedy =
        ". The application's own have two underscores after their table, such as `ENDPOINT_CHAT__MAX_LEN`";
    assert!(by_variable.ends_with(remedy), "{by_variable}");
    let by_file = problems("colours = 3", &[]).concat();
    assert!(
        by_file.ends_with(". The application's own settings stand in tables, such as `[chat]`"),
        "{by_file}"
    );
}
