//! Endpoints and components in every place from which they must be found: here, in a nested private module, in a library that is linked by
//! `link!`, in one that is named by `use`, and in one that only a library names.

use endpoint_runtime as runtime;
use quiet as _;
use runtime::prelude::*;

runtime::link!(parts);

#[server_endpoint("/program")]
struct Program;

#[handlers]
impl Program {
    #[on_message]
    fn hear(&self, _: String) {}
}

mod outer {
    mod nested {
        use endpoint_runtime::prelude::*;

        #[server_endpoint("/nested")]
        struct Nested;

        #[handlers]
        impl Nested {
            #[on_message]
            fn hear(&self, _: String) {}
        }
    }
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    let report = runtime::export_all().check();
    println!("{} endpoints", report.endpoints().len());
    for endpoint in report.endpoints() {
        println!("endpoint {}", endpoint.path());
    }
    let server = runtime::export_all()
        .expect_paths(["/program", "/nested", "/parts", "/inner", "/quiet"])
        .bind("127.0.0.1:0")
        .start()
        .await?;
    println!("started");
    println!("component {:?}", server.context().find::<u64>());
    server.shutdown().await;
    Ok(())
}
