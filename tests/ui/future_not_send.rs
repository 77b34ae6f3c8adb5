#![allow(unused)]

use std::rc::Rc;

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    async fn enter(&mut self, session: &Session) -> Result<()> {
        let name = Rc::new(String::from("name"));
        session.send(name.as_str()).await?;
        drop(name);
        Ok(())
    }

    #[on_message]
    async fn text(&mut self, text: String, session: &Session) -> Result<()> {
        let name = Rc::new(text);
        session.send(name.as_str()).await?;
        drop(name);
        Ok(())
    }
}

fn main() {}
