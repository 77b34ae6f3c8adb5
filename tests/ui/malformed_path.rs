#![allow(unused)]

use endpoint_runtime::prelude::*;

macro_rules! endpoints {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                fn text(&self, #[path] room: String, text: String) {}
            }
        )*
    };
}

endpoints! {
    Empty: "",
    Relative: "chat/{room}",
    EmptySegment: "/chat//{room}",
    DotSegment: "/chat/../{room}",
    HalfSegment: "/chat/room-{room}",
    NotClosed: "/chat/{room",
    NotOpened: "/chat/room}",
    NoName: "/chat/{}",
    BadName: "/chat/{the room}",
    Twice: "/chat/{room}/{room}",
    RestInside: "/chat/{*room}/end",
    Query: "/chat/{room}?x={x}",
    Space: "/chat /{room}",
    Encoding: "/chat%2/{room}",
}

fn main() {}
