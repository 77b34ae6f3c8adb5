//! How busy the machine is with what is not measured: the figures are to be believed as far as it is quiet.

use std::fmt;
use std::io;
use std::thread;

use tokio::process::{Child, Command};

/// What it had done when this was made.
pub(crate) struct Machine {
    load: String,
    ticks: Option<Ticks>,
}

/// Of all its processors, since it has started.
struct Ticks {
    all: u64,
    /// In which the host of a virtual machine let others run.
    stolen: u64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        Machine { load: load(), ticks: Ticks::now() }
    }
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

impl Ticks {
    fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let fields = stat.lines().next()?.split_whitespace().skip(1).take(8);
        let fields: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        Some(Ticks { all: fields.iter().sum(), stolen: *fields.get(7)? })
    }
}

/// What has happened since then.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        write!(f, "{cores} cores, load {} before and {} after", self.load, load())?;
        if let (Some(before), Some(after)) = (&self.ticks, Ticks::now()) {
            let all = after.all.saturating_sub(before.all).max(1);
            let stolen = after.stolen.saturating_sub(before.stolen) as f64 * 100.0 / all as f64;
            write!(f, ", {stolen:.1} % of their time taken by the host for others")?;
        }
        Ok(())
    }
}

/// No processor rests while there is one of these. A virtual one that does is given to others by its host, and comes back milliseconds later: then it
/// would be the host whose latency is measured.
pub(crate) struct Awake {
    _all: Vec<Child>,
}

impl Awake {
    pub(crate) fn new() -> io::Result<Self> {
        let processors = thread::available_parallelism()?.get();
        // They give way to everything else.
        let busy = || {
            Command::new("nice")
                .args(["-n", "19", "sh", "-c", "while :; do :; done"])
                .kill_on_drop(true)
                .spawn()
        };
        Ok(Awake { _all: (0..processors).map(|_| busy()).collect::<io::Result<_>>()? })
    }
}
