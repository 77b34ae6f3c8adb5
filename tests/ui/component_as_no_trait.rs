#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

trait Audit: Send + Sync {}
trait Other: Send + Sync {}

#[component(as = [Audit, dyn Audit, dyn Audit, &'static str])]
struct A;

impl Audit for A {}

#[component(as = dyn Audit)]
struct B;

#[component(as = [])]
struct C;

#[component(as = "Audit")]
struct D;

fn main() {}
