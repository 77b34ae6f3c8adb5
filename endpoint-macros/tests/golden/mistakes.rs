#[server_endpoint("chat", scop = singleton, scope = singleton)]
struct Chat {
    #[inject]
    log: Arc<Log>,
}

#[handlers]
impl Chat {
    #[on_open]
    #[on_close]
    fn both(self, #[path] a: u8) {}
}

#[client_endpoint("/chat", scope = singleton)]
struct Listener {
    #[inject]
    log: Arc<Log>,
}
