//! The thread's memory that is compressed and inflated into, before it is known how much that comes to.

use std::cell::Cell;

/// What a thread keeps at most, in bytes.
const KEPT: usize = 256 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's buffer, of whatever length it has. It may be made longer, and what it holds means nothing.
pub(in super::super) fn with<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    // The thread may be at its end, with its locals gone: then the buffer lasts for this one time.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    let done = work(&mut scratch);
    if scratch.len() <= KEPT {
        let _ = SCRATCH.try_with(|kept| kept.set(scratch));
    }
    done
}
