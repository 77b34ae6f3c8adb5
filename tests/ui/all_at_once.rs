#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("chat//{room}", scop = singleton, idle_timeout = 60)]
struct Chat<T> {
    #[inject]
    #[init(7)]
    log: T,
}

#[server_endpoint("/rooms/{room}", overflow = explode)]
struct Room {
    seats: Vec<String>,
}

#[handlers]
impl Room {
    #[on_open]
    fn open(self) {}

    #[on_open]
    fn again(&self, #[path] #[query] room: String) {}

    #[on_message(size = 1)]
    fn text(&self, text: &mut String) {}

    #[on_error]
    fn error(&self) {}
}

fn uses_them(room: &Room) -> &[String] {
    &room.seats
}

fn main() {}
