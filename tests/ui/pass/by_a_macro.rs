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

fn main() {}
