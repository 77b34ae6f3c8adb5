//! [`Directory`]: a directory that lasts as long as a test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An empty directory of this process's own. Its path is short, since that of a Unix socket must be.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let name = format!("endpoint-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it.
    pub(crate) fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.file(name), text).unwrap();
        self
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left in the system's directory for temporary files is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
