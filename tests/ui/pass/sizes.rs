//! How large a message may be, said for each method.

#![deny(warnings)]

use endpoint_runtime::prelude::*;

const KIB: usize = 1024;

#[server_endpoint("/a")]
struct A;

impl A {
    const LARGEST: usize = 64 * KIB;
}

#[handlers]
impl A {
    #[on_message(max_size = Self::LARGEST)]
    fn text(&self, _text: &str) {}

    #[on_message(max_size = 1_000_000,)]
    async fn bytes(&self, _bytes: &[u8]) {}

    #[on_message()]
    fn pong(&self, _pong: Pong) {}
}

#[client_endpoint]
struct B;

#[handlers]
impl B {
    #[cfg(any())]
    #[on_message(max_size = Missing::SIZE)]
    fn missing(&self, _missing: Missing) {}

    #[on_message(max_size = {
        const PARTS: usize = 3;
        PARTS * KIB
    })]
    fn any(&self, _message: Message) {}
}

macro_rules! endpoint {
    ($name:ident, $limit:expr, $size:literal) => {
        #[client_endpoint]
        struct $name;

        #[handlers]
        impl $name {
            #[on_message(max_size = $limit)]
            fn text(&self, _text: String) {}

            #[on_message(max_size = $size)]
            fn bytes(&self, _bytes: Bytes) {}
        }
    };
}

endpoint!(C, 3 * KIB, 12);

fn main() {
    #[client_endpoint]
    struct Inside;

    const LOCAL: usize = 7;

    #[handlers]
    impl Inside {
        #[on_message(max_size = LOCAL)]
        fn text(&self, _text: String) {}
    }
}
