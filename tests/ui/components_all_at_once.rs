#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[component(nam = "main", as = [Audit])]
struct Theatre {
    #[value("size")]
    size: usize,
    #[inject]
    #[init(7)]
    log: Arc<u8>,
}

trait Audit {}

struct Users;

#[component(lasy)]
impl Users {
    #[constructor]
    fn new(&self, theatre: &Theatre, #[value] size: usize) -> Self {
        Users
    }

    #[constructor]
    fn again() {}
}

#[provider(nam = "db")]
fn db(theatre: &Theatre) {}

fn uses_them(theatre: &Theatre) -> usize {
    theatre.size
}

fn main() {}
