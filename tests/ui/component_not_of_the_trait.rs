#![allow(unused)]

use endpoint_runtime::prelude::*;

trait Audit: Send + Sync {}
trait Clock: Send + Sync {}
trait Lonely {}

#[component(as = [dyn Audit, dyn Clock])]
struct A;

impl Clock for A {}

#[component(as = [dyn Lonely])]
struct B;

impl Lonely for B {}

fn main() {}
