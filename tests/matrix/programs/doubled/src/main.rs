//! The program half.

use doubled as _;
use endpoint_runtime as runtime;

mod endpoint;

fn main() {
    println!("{}", runtime::export_all().check());
}
