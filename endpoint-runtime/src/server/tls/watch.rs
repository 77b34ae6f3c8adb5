//! Watching the files of certificates: one that has changed is read again, once it changes no more.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Tls;
use crate::server::Listener;

/// What files were like: when they were written, and how long they are; `None` for one that is not there.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// What is known of the files of a [`Tls`].
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What they were like when they were read.
    read: Stamps,
    /// What they were like when they were found to have changed, until they are read.
    changed: Option<Stamps>,
}

impl Look {
    /// They are about to be read.
    pub(super) fn note(&mut self, files: &[&Path]) {
        *self = Look { read: stamps(files), changed: None };
    }

    /// Whether they are to be read again. A change counts when the next look sees no other: who writes several files, or a long one,
    /// should be let finish.
    fn is_due(&mut self, files: &[&Path]) -> bool {
        let now = stamps(files);
        if now == self.read {
            self.changed = None;
            return false;
        }
        let settled = self.changed.as_ref() == Some(&now);
        self.changed = Some(now);
        settled
    }
}

fn stamps(files: &[&Path]) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(|path| ((*path).to_owned(), stamp(path))).collect()
}

/// The certificates of all listeners, whose files are looked at from now on until `stop`.
pub(in crate::server) fn watched(
    listeners: &[Listener],
    interval: Option<Duration>,
    stop: &CancellationToken,
) -> Vec<Tls> {
    let mut all: Vec<Tls> = Vec::new();
    for tls in listeners.iter().filter_map(|listener| listener.rules().tls.as_ref()) {
        if !all.iter().any(|other| other.is_same(tls)) {
            all.push(tls.clone());
        }
    }
    let in_files: Vec<Tls> = all.iter().filter(|tls| !tls.files().is_empty()).cloned().collect();
    if let Some(interval) = interval.filter(|_| !in_files.is_empty()) {
        tokio::spawn(watch(in_files, interval, stop.clone()));
    }
    all
}

/// Looks at the files of all of them, until told to stop.
async fn watch(all: Vec<Tls>, interval: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let looking = all.clone();
        // A file system may take its time.
        let looked =
            tokio::task::spawn_blocking(move || looking.iter().map(Tls::look).collect::<Vec<_>>()).await;
        // That looking panics is not to be expected, and the next look is none the worse for it.
        for (tls, outcome) in all.iter().zip(looked.unwrap_or_default()) {
            match outcome {
                None => {}
                Some(Ok(())) => tracing::info!(files = ?tls.files(), "certificate reloaded"),
                Some(Err(faults)) => tracing::error!(
                    problems = faults.join("; "),
                    "the new certificate cannot be used, the old one stays"
                ),
            }
        }
    }
}

impl Tls {
    /// Reads the files if they have changed: what came of it, if anything was to be done.
    fn look(&self) -> Option<Result<(), Vec<String>>> {
        let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_due(&self.files()).then(|| self.read(&mut looked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_has_settled() {
        let name = format!("endpoint-watch-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let files = [path.as_path()];
        let mut look = Look::default();
        write("one");
        look.note(&files);
        assert!(!look.is_due(&files), "nothing has changed");
        write("twenty");
        assert!(!look.is_due(&files), "it may not be finished");
        write("twenty-one");
        assert!(!look.is_due(&files), "it was not");
        assert!(look.is_due(&files));
        look.note(&files);
        assert!(!look.is_due(&files));
        std::fs::remove_file(&path).unwrap();
        assert!(!look.is_due(&files));
        // Back again as it was: nothing to do.
        write("twenty-one");
        look.note(&files);
        assert!(!look.is_due(&files) && look.changed.is_none());
        std::fs::remove_file(&path).unwrap();
    }
}
