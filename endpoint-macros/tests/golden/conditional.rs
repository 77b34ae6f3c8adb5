#[cfg(feature = "chat")]
#[server_endpoint("/chat", scope = singleton, crate = ::runtime)]
pub struct Chat(#[inject] Arc<Log>, #[cfg(unix)] u8);

#[cfg(feature = "chat")]
#[handlers(crate = ::runtime)]
impl Chat {
    #[cfg(unix)]
    #[on_open]
    fn open(&self, peer: Peer) {}

    #[cfg(windows)]
    #[on_open]
    fn open_there(&self) {}

    #[on_message]
    async fn text(&self, text: &str) {}

    #[cfg(unix)]
    #[on_message]
    async fn bytes(&self, bytes: &[u8], sessions: Sessions) {}
}
