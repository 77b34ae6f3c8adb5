//! Depends on `quiet`, and never names it: the compiler does not link it, so its endpoint is missing, and the start must say
//! so.

use endpoint_runtime as runtime;

#[tokio::main]
async fn main() {
    let exporters = [
        ("as it is", runtime::export_all()),
        ("expecting /quiet", runtime::export_all().allow_empty().expect_paths(["/quiet"])),
    ];
    for (name, exporter) in exporters {
        match exporter.bind("127.0.0.1:0").start().await {
            Ok(_) => println!("{name}: started"),
            Err(error) => println!("{name}: {error}"),
        }
    }
}
