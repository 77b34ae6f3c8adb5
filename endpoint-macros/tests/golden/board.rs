/// For those who may read, and some of it for those who may write.
#[server_endpoint("/board", require = ["reader", "writer"])]
struct Board;

#[handlers]
impl Board {
    #[on_message(require = "writer")]
    fn write(&self, text: String) -> String {
        text
    }

    #[on_message(max_size = 64, require = ["writer", "admin"])]
    async fn paint(&self, bytes: Bytes) {}
}
