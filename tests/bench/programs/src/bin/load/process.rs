//! What the kernel knows about a process: the time that it ran, and the memory that it holds.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;

/// A process by its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// How long all of its threads ran so far, in user space and in the kernel.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            // A thread may have ended meanwhile.
            let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let ran = schedstat.split_whitespace().next().ok_or("an empty schedstat")?;
            nanoseconds += ran.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident(self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Waits until it does next to nothing any more, for ten seconds at most.
    pub(crate) fn settle(self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let before = self.cpu()?;
            sleep(Duration::from_millis(400));
            if self.cpu()? - before < Duration::from_millis(4) || begun.elapsed() > Duration::from_secs(10) {
                return Ok(());
            }
        }
    }
}
