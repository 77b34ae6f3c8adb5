//! An endpoint that a macro of the user's writes.

#![deny(warnings)]

use endpoint_runtime::prelude::*;

macro_rules! endpoint {
    ($name:ident at $path:literal, $runtime:path, limit $limit:expr, scope $scope:ident {
        $field:ident: $field_type:ty = $first:expr
    }
    $(fn $method:ident($parameter:ident: $ty:ty) -> $returned:ty $body:block)*) => {
        #[server_endpoint($path, max_message_size = $limit, scope = $scope, crate = $runtime)]
        struct $name {
            #[init($first)]
            $field: $field_type,
            #[inject]
            sessions: Sessions,
        }

        #[handlers(crate = $runtime)]
        impl $name {
            $(
                #[on_message]
                async fn $method(&self, $parameter: $ty, session: &Session) -> $returned {
                    session.send("on its way").await?;
                    let _ = (&self.$field, &self.sessions);
                    $body
                }
            )*
        }
    };
}

endpoint! {
    Chat at "/chat", endpoint_runtime, limit 3 * 1024, scope connection { log: Vec<u8> = vec![1] }
    fn text(text: &str) -> Result<String> { Ok(text.to_owned()) }
    fn bytes(bytes: Bytes) -> Result<Bytes> { Ok(bytes) }
}

macro_rules! handlers_for {
    ($ty:ty, $event:ident) => {
        #[handlers]
        impl $ty {
            #[$event]
            fn text(&self, _text: String) {}
        }
    };
}

mod inner {
    #[endpoint_runtime::server_endpoint("/inner")]
    pub(crate) struct Inner;
}

handlers_for!(inner::Inner, on_message);

macro_rules! component {
    ($name:ident as $trait:ty, $runtime:path, $first:expr, $key:literal { $field:ident: $ty:ty }) => {
        #[component(as = [$trait], crate = $runtime)]
        struct $name {
            #[init($first)]
            $field: $ty,
            #[value($key, default = $first)]
            value: $ty,
        }

        impl $name {
            fn both(&self) -> [$ty; 2] {
                [self.$field, self.value]
            }
        }
    };
}

trait Number: Send + Sync {}

component!(Seven as dyn Number, endpoint_runtime, 7, "seven.value" { number: u8 });

impl Number for Seven {}

macro_rules! constructed {
    ($name:ident, $function:ident, $ty:ty) => {
        #[component]
        impl $name {
            #[constructor]
            fn $function(seven: $ty) -> Self {
                $name(seven.both()[0])
            }
        }
    };
}

struct Eight(#[allow(dead_code)] u8);

constructed!(Eight, new, std::sync::Arc<Seven>);

macro_rules! provided {
    ($name:ident -> $ty:ty = $value:expr) => {
        #[provider]
        fn $name() -> $ty {
            $value
        }
    };
}

provided!(nine -> Result<std::sync::Arc<dyn Number>> = Ok(std::sync::Arc::new(Nine)));

struct Nine;
impl Number for Nine {}

fn main() {}
