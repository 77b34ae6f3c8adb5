#![allow(unused)]

use endpoint_runtime::prelude::*;

macro_rules! endpoints {
    ($($name:ident: $duration:expr,)*) => {
        $(
            #[server_endpoint("/a", idle_timeout = $duration)]
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
    Number: 60,
    NoQuotes: off,
    NoUnit: "60",
    BadUnit: "60 sec",
    Fraction: "1.5s",
    Zero: "0s",
    TooLong: "9000h",
}

#[server_endpoint("/a", ping_interval = 25s)]
struct WithUnit;

#[handlers]
impl WithUnit {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}
