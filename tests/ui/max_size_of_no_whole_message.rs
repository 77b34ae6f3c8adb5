#![allow(unused)]

use endpoint_runtime::prelude::*;

const KIB: usize = 1024;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message(max_size = 64 * KIB)]
    async fn part(&self, part: Fragment<Text>) {}

    #[on_message(max_size = 65_536)]
    async fn stream(&self, reader: BinaryReader) {}

    #[on_message(max_size = Self::LARGEST)]
    fn ping(&self, ping: Ping) {}

    #[on_message(max_size = 125)]
    fn pong(&self, pong: Pong) {}
}

impl A {
    const LARGEST: usize = 125;
}

fn main() {}
