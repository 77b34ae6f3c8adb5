#[component(name = "main", as = [dyn Audit], lazy)]
struct Theatre {
    #[inject]
    db: Arc<Db>,
    #[inject("audit")]
    log: Arc<dyn Log>,
    #[value("theatre.seats", default = 10 * ROWS)]
    seats: usize,
    #[init(Mutex::new(Vec::new()))]
    sold: Mutex<Vec<u32>>,
    evenings: AtomicU64,
}

#[server_endpoint("/program", resume = "2m")]
struct Program {
    #[inject("main")]
    theatre: Arc<Theatre>,
    #[value("theatre.title")]
    title: String,
}
