#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct Parts;

#[handlers]
impl Parts {
    #[on_message]
    fn whole(&self, text: String) {}

    #[on_message]
    async fn part(&self, part: Fragment<Text>) {}

    #[on_message]
    fn bytes(&self, part: Fragment<Bytes>) {}

    #[on_message]
    async fn stream(&self, reader: BinaryReader) {}
}

#[client_endpoint]
struct Streams;

#[handlers]
impl Streams {
    #[on_message]
    fn stream(&self, reader: TextReader) {}

    #[on_message]
    fn whole(&self, text: &str) {}
}

#[server_endpoint("/c")]
struct Anything;

#[handlers]
impl Anything {
    #[on_message]
    fn part(&self, part: Fragment<Bytes>) {}

    #[on_message]
    fn any(&self, message: Message) {}
}

fn main() {}
