#![allow(unused)]

use endpoint_runtime::prelude::*;

macro_rules! endpoints {
    ($($name:ident: ($($argument:tt)*),)*) => {
        $(
            #[server_endpoint("/a", $($argument)*)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                fn text(&self, text: String) {}
            }
        )*
    };
}

endpoints! {
    Bare: (recover),
    Set: (recover = 100),
    Empty: (recover()),
    ZeroAndDuration: (recover(size = 0, ttl = "5 minutes")),
    NoTime: (recover(size = 1, ttl = "0s")),
    Off: (recover(size = 1, ttl = "off")),
    NotANumber: (recover(size = "100", ttl = 300)),
    Unknown: (recover(size = 1, ttl = "5m", room = "chat/*", 7)),
    Middle: (recover(size = 1, ttl = "5m", rooms = "chat/*/blue")),
    Nameless: (recover(size = 1, ttl = "5m", rooms = "")),
    NoText: (recover(size = 1, ttl = "5m", rooms = chat)),
    Twice: (recover(size = 1, size = 2, ttl = "5m"), recover(size = 1, ttl = "5m")),
    PresenceTwice: (presence, presence),
    PresenceSet: (presence = true),
}

#[client_endpoint(recover(size = 1, ttl = "5m"), presence)]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}
