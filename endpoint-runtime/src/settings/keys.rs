//! The settings by name: how each is set, and which one a misspelt name may mean.

use super::Settings;
use super::value::Value;

/// One setting that can be written in a file or a variable.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) set: fn(&mut Settings, &Value<'_>) -> Result<(), String>,
}

/// Pairs the name of a field with how its value is read, so that the two cannot come apart.
macro_rules! key {
    ($field:ident, $value:ident => $read:expr) => {
        Key {
            name: stringify!($field),
            set: |settings, $value| {
                settings.$field = $read?;
                Ok(())
            },
        }
    };
}

/// All settings, in the order of [`Settings`].
pub(super) const KEYS: &[Key] = &[
    key!(bind, value => value.list()),
    key!(reuse_port, value => value.switch()),
    key!(prefix, value => value.prefix()),
    key!(max_message_size, value => value.size()),
    key!(idle_timeout, value => value.duration_or_off()),
    key!(ping_interval, value => value.duration_or_off()),
    key!(pong_timeout, value => value.duration("a dead peer would never be found; `ping_interval` may be")),
    key!(send_buffer, value => value.size()),
    key!(send_timeout, value => value.duration("one slow peer could hold up its senders for ever")),
    key!(overflow, value => value.overflow()),
    key!(compression, value => value.compression()),
    key!(compression_threshold, value => value.size()),
    key!(origins, value => value.list().map(Some)),
    key!(handler_grace, value => value.duration("a handler that never returns would hold its session for ever")),
    key!(close_timeout, value => value.duration("a peer that never answers would hold its connection for ever")),
    key!(drain_delay, value => value.duration("the server would never stop; write \"0s\" for no delay")),
    key!(drain_timeout, value => value.duration("one peer could hold up a shutdown for ever")),
    key!(drain_batch, value => value.count()),
    key!(drain_interval, value => value.duration("write \"0s\" for no pause")),
    key!(drain_grace, value => value.duration("a client that never asks would hold up a shutdown for ever")),
    key!(destroy_timeout, value => value.duration("a component that hangs would hold up the end for ever")),
    key!(max_connections, value => value.count()),
    key!(max_connections_per_address, value => value.count()),
    key!(max_connections_per_principal, value => value.count()),
    key!(handshake_rate, value => value.rate()),
    key!(handshake_rate_per_address, value => value.rate()),
    key!(message_rate, value => value.rate()),
    key!(byte_rate, value => value.byte_rate()),
    key!(over_rate, value => value.over_rate()),
    key!(max_queue_memory, value => value.size_or_auto()),
    key!(max_body_size, value => value.size()),
    key!(max_head_size, value => value.size()),
    key!(max_headers, value => value.count()),
    key!(head_timeout, value => value.duration("a silent client would hold its connection for ever")),
    key!(http2, value => value.switch()),
    key!(http2_max_streams, value => value.count()),
    key!(http2_max_resets, value => value.count()),
    key!(handshake_timeout, value => value.duration("a configurator that hangs would hold its connection for ever")),
    key!(tls_certificate, value => value.path().map(Some)),
    key!(tls_key, value => value.path().map(Some)),
    key!(tls_client_authorities, value => value.path().map(Some)),
    key!(tls_client_certificates, value => value.client_certificates()),
    key!(tls_handshake_timeout, value => value.duration("a silent client would hold its connection for ever")),
    key!(tls_reload_interval, value => value.duration_or_off()),
    key!(trusted_proxies, value => value.list()),
    key!(proxy_protocol, value => value.switch()),
    key!(node_name, value => value.name().map(Some)),
    key!(cluster_deadline, value => value.duration("who waits for an engine that is down would wait for ever")),
    key!(cluster_queue, value => value.size()),
    key!(ready_when_isolated, value => value.switch()),
    key!(close_when_isolated, value => value.duration_or_off()),
];

/// What others call a setting.
const ALIASES: &[(&str, &str)] =
    &[("addr", "bind"), ("address", "bind"), ("host", "bind"), ("listen", "bind"), ("port", "bind")];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The settings that a name which is none may mean, the nearest first.
pub(super) fn near(unknown: &str) -> Vec<&'static str> {
    let unknown = unknown.to_lowercase().replace(['-', '.', ' '], "_");
    if let Some((_, name)) = ALIASES.iter().find(|(alias, _)| *alias == unknown) {
        return vec![name];
    }
    let mut near: Vec<_> = KEYS
        .iter()
        .filter_map(|key| {
            let distance = distance(&unknown.replace('_', ""), &key.name.replace('_', ""));
            let close = distance <= key.name.len() / 4;
            (close || has_words(key.name, &unknown) || has_words(&unknown, key.name))
                .then_some((distance, key.name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).collect()
}

/// Whether all words of `part` are words of `whole`.
fn has_words(whole: &str, part: &str) -> bool {
    part.split('_').all(|word| whole.split('_').any(|other| other == word))
}

/// How many characters must be added, removed or replaced to make one text of the other (Levenshtein).
pub(super) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<_> = to.chars().collect();
    let mut row: Vec<_> = (0..=to.len()).collect();
    for (above, character) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted() {
        let table = [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("abc", "acb", 2),
            ("größe", "grosse", 3),
        ];
        for (from, to, expected) in table {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_misspelt_name_finds_what_was_meant() {
        let table: &[(&str, &[&str])] = &[
            ("ping_intervall", &["ping_interval"]),
            ("pingInterval", &["ping_interval"]),
            ("ping-interval", &["ping_interval"]),
            ("PING_INTERVAL", &["ping_interval"]),
            ("ping", &["ping_interval"]),
            ("pong_time", &["pong_timeout"]),
            ("binds", &["bind"]),
            ("port", &["bind"]),
            ("origin", &["origins"]),
            ("max_size", &["max_body_size", "max_head_size", "max_message_size"]),
            ("max_conections", &["max_connections"]),
            ("server_drain_batch", &["drain_batch"]),
            ("drain", &["drain_batch", "drain_delay", "drain_grace", "drain_timeout", "drain_interval"]),
            ("banana", &[]),
            ("", &[]),
        ];
        for (unknown, expected) in table {
            assert_eq!(near(unknown), *expected, "{unknown}");
        }
    }

    #[test]
    fn every_setting_has_a_key() {
        let shown = format!("{:#?}", Settings::default());
        let fields = shown.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
        let fields: Vec<_> = fields.map(|(name, _)| name).filter(|name| !name.starts_with(' ')).collect();
        // Those of the application come last. They have keys of their own.
        let names: Vec<_> = KEYS.iter().map(|key| key.name).chain(["values"]).collect();
        assert_eq!(fields, names);
    }
}
