//! The scale model of `docs/cluster.md`: what its formulas give is what its table says.

#![forbid(unsafe_code)]

use std::fmt::Write;

/// What the page says was measured, by `tests/rates/run`. Each of them stands there too.
const HEARTBEAT: f64 = 3.0;
const SESSION_BYTES: f64 = 2_150.0 + 335.0 + 185.0;
const SUBSCRIPTION_BYTES: f64 = 220.0;
const ENGINE_PUBLISH: f64 = 1.5e-6;
const ENGINE_DELIVERY: f64 = 0.35e-6;

struct Case {
    sessions: f64,
    nodes: f64,
    /// Members of each room, and messages to each room in a second.
    room: f64,
    rate: f64,
}

impl Case {
    fn rooms(&self) -> f64 {
        self.sessions / self.room
    }

    /// Nodes that have a member of a room, if members are anywhere.
    fn spread(&self) -> f64 {
        self.nodes * (1.0 - (1.0 - 1.0 / self.nodes).powf(self.room))
    }

    fn published(&self) -> f64 {
        self.rooms() * self.rate + self.nodes / HEARTBEAT
    }

    fn carried(&self) -> f64 {
        self.rooms() * self.rate * self.spread() + self.nodes * self.nodes / HEARTBEAT
    }

    /// Frames that a node writes in a second.
    fn written(&self) -> f64 {
        self.rooms() * self.rate * self.room / self.nodes
    }

    fn subscriptions(&self) -> f64 {
        self.rooms() * self.spread() / self.nodes + self.sessions / self.nodes + 3.0
    }

    fn engine_cores(&self) -> f64 {
        self.published() * ENGINE_PUBLISH + self.carried() * ENGINE_DELIVERY
    }

    fn row(&self) -> String {
        let node_bytes = self.sessions / self.nodes * SESSION_BYTES;
        let engine_bytes = self.subscriptions() * self.nodes * SUBSCRIPTION_BYTES;
        [
            short(self.sessions),
            short(self.nodes),
            short(self.room),
            short(self.published()),
            short(self.carried()),
            short(self.written()),
            short(self.subscriptions()),
            short(node_bytes),
            short(engine_bytes),
            format!("{:.2}", self.engine_cores()),
        ]
        .join(" | ")
    }
}

/// Three digits, and what they are multiplied by.
fn short(number: f64) -> String {
    let (number, unit) = match number {
        number if number >= 1e9 => (number / 1e9, " G"),
        number if number >= 1e6 => (number / 1e6, " M"),
        number if number >= 1e3 => (number / 1e3, " k"),
        number => (number, ""),
    };
    let digits = if number >= 99.95 || number.fract() == 0.0 { 0 } else { 1 };
    format!("{number:.digits$}{unit}")
}

fn table() -> String {
    let mut table = String::new();
    for (sessions, all_nodes) in
        [(1e4, [1.0, 2.0, 5.0]), (1e6, [10.0, 20.0, 50.0]), (1e7, [50.0, 100.0, 200.0])]
    {
        for nodes in all_nodes {
            for (room, rate) in [(2.0, 0.02), (100.0, 0.5), (1e5, 5.0)] {
                if room <= sessions {
                    let row = Case { sessions, nodes, room, rate }.row();
                    writeln!(table, "| {row} |").unwrap_or_default();
                }
            }
        }
    }
    table
}

#[test]
fn the_table_is_what_the_formulas_give() {
    let page = include_str!("../../endpoint-runtime/docs/cluster.md");
    let table = table();
    assert!(page.contains(&table), "the page should have this table:\n{table}");
}
