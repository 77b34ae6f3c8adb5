/// Hears a room, in parts.
#[client_endpoint(subprotocols = ["chat.v2"], decoders = [Csv<Row>, boards::BoardDecoder], encoders = [Csv<Row>], idle_timeout = "60s", compression = off)]
struct Listener {
    heard: mpsc::Sender<Text>,
}

#[handlers]
impl Listener {
    #[on_message]
    async fn part(&mut self, part: Fragment<Text>) -> Result<()> {
        Ok(self.heard.send(part.data).await?)
    }

    #[on_message(max_size = 64 * KIB)]
    fn row(&self, Decoded(row): Decoded<Row>) -> Encoded<Row> {
        Encoded(row)
    }
}
