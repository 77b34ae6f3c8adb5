/// Keeps who is who.
#[component]
impl Users {
    /// Not the constructor: stays as it is.
    fn helper(&self) {}

    #[constructor]
    async fn new(db: Arc<Db>, #[value("users.cache")] size: usize, #[inject("audit")] log: Arc<dyn Log>) -> Result<Self> {
        Ok(Users { db, cache: Cache::with_capacity(size), log })
    }
}

#[cfg(feature = "db")]
#[provider(name = "replica")]
async fn database(config: Arc<DbConfig>) -> io::Result<Arc<dyn Store>> {
    Db::connect(&config.url).await
}

#[provider]
fn clock() -> Clock {
    Clock::default()
}
