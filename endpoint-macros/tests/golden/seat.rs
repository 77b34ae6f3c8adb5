#[server_endpoint(
    "/rooms/{room}/seats/{seat}",
    subprotocols = ["chat.v2", "chat.v1"],
    require_subprotocol = true,
    configurator = tickets::Checked<Ticket>,
    scope = connection,
    max_message_size = 65_536,
    idle_timeout = "60s",
    ping_interval = "off",
    send_buffer = 16 * LIMIT,
    overflow = disconnect,
    compression = context,
    origins = ["https://example.com"],
)]
struct Seat {
    #[inject]
    theatre: Arc<Theatre>,
    taken: bool,
    #[init(Vec::with_capacity(8))]
    log: Vec<String>,
}

#[handlers]
impl Seat {
    #[on_open]
    async fn open(&mut self, session: &Session, #[path] room: RoomId, #[path("seat")] number: u32) -> Result<()> {
        self.theatre.enter(room, number, session.clone()).await?;
        Ok(())
    }

    /// Not a handler: stays as it is.
    fn helper(&self) {}

    #[on_message]
    async fn command(&mut self, Json(command): Json<Command>, session: &Session) -> Result<Json<Event>> {
        self.run(command, session).await
    }

    #[on_message(max_size = 1_000_000)]
    fn picture(&self, bytes: &[u8], #[query] scale: Option<f32>) -> Replies<impl Stream<Item = Bytes> + use<>> {
        tiles(bytes, scale)
    }

    #[on_message]
    async fn pong(pong: Pong) {}

    #[on_close]
    async fn close(&mut self, reason: &CloseReason) {}

    #[on_error]
    fn bad_json(&self, error: &DecodeError) -> Json<Event> {
        Json(Event::bad(error))
    }

    #[on_error]
    async fn other(&self, error: &Error, session: &Session) {}
}
