/// Whoever was away for less than five minutes misses nothing.
#[server_endpoint("/news/{topic}", recover(size = 10 * 10, ttl = "5m", rooms = "news/*"), presence)]
struct News;

#[handlers]
impl News {
    #[on_open]
    fn open(&self) {}
}
