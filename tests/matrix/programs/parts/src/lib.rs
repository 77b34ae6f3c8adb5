//! A library with an endpoint in a private module, and another behind it in `inner`.

use endpoint_runtime as runtime;

runtime::link!(inner);

mod private {
    use endpoint_runtime::prelude::*;

    #[server_endpoint("/parts")]
    struct Parts;

    #[handlers]
    impl Parts {
        #[on_message]
        fn hear(&self, _: String) {}
    }
}
