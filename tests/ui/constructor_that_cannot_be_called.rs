#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct Theatre;
struct A;

#[component]
impl A {
    #[constructor]
    unsafe extern "C" fn new<'a, T: Clone>(
        &self,
        theatre: &Theatre,
        name: &str,
        context: &ApplicationContext,
        #[value("a.b")] size: &usize,
        many: &mut Vec<Arc<dyn Send>>,
        any: impl Clone,
        #[path] room: String,
        #[cfg(unix)] here: Arc<u8>,
        #[init(7)] seven: u8,
        #[inject] #[value("a.c")] both: Arc<u8>,
    ) -> Self {
        A
    }
}

#[provider]
unsafe fn provided<T>(self, session: &Sessions) -> T {
    loop {}
}

fn main() {}
