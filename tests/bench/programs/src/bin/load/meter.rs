//! What a load that goes on and on costs: counted from the end of the warm-up.

use std::time::{Duration, Instant};

use crate::process::Process;
use crate::{Arguments, Result};

/// What is counted between the warm-up and the end.
pub(crate) struct Meter {
    server: Process,
    warm: Duration,
    end: Duration,
    begun: Instant,
    from: Option<(Instant, Duration, Duration)>,
    count: usize,
}

impl Meter {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let warm = Duration::try_from_secs_f64(arguments.get("warm", 0.7)?)?;
        let end = warm + Duration::try_from_secs_f64(arguments.get("seconds", 2.0)?)?;
        Ok(Self { server: arguments.server()?, warm, end, begun: Instant::now(), from: None, count: 0 })
    }

    pub(crate) fn add(&mut self, count: usize) {
        self.count += count;
    }

    /// The figures, when the time has come.
    pub(crate) fn figures(&mut self) -> Result<Option<Vec<(&'static str, f64)>>> {
        let (passed, ourselves) = (self.begun.elapsed(), Process(std::process::id()));
        if self.from.is_none() && passed >= self.warm {
            self.from = Some((Instant::now(), self.server.cpu()?, ourselves.cpu()?));
            self.count = 0;
        }
        let Some((from, server, client)) = self.from.filter(|_| passed >= self.end) else { return Ok(None) };
        let seconds = from.elapsed().as_secs_f64();
        let server = (self.server.cpu()? - server).as_secs_f64();
        let client = (ourselves.cpu()? - client).as_secs_f64();
        if self.count == 0 {
            return Err("the server answers nothing".into());
        }
        let count = self.count as f64;
        Ok(Some(vec![
            ("cpu", server * 1e6 / count),
            ("rate", count / seconds),
            ("server_busy", server / seconds),
            ("client_busy", client / seconds),
        ]))
    }
}
