//! The memory of large messages that were dealt with, kept for the next ones while there are many.
//!
//! To get such a block from the system, page by page, costs more than all that is done with it. To keep it costs as much memory as it has: so
//! whoever puts blocks here also sees to it that they are swept out when nobody has needed them for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller blocks are left to the allocator, which has them at hand.
pub(crate) const LARGE: usize = 128 * 1024;

/// The most that is kept, in bytes.
const MOST: usize = 8 * 1024 * 1024;

static SPARE: Mutex<Spare> = Mutex::new(Spare::NONE);

struct Spare {
    blocks: Vec<Vec<u8>>,
    bytes: usize,
    /// Whether any was put or taken since the last sweep.
    used: bool,
    /// Whether there is somebody who sweeps.
    swept: bool,
}

impl Spare {
    const NONE: Spare = Spare { blocks: Vec::new(), bytes: 0, used: false, swept: false };

    fn lock() -> MutexGuard<'static, Self> {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty block for a message of this size, if there is one that is not much too large.
pub(super) fn take(size: usize) -> Option<Vec<u8>> {
    if size < LARGE {
        return None;
    }
    let mut spare = Spare::lock();
    let fits = |block: &Vec<u8>| (size..=size.saturating_mul(2)).contains(&block.capacity());
    let index = spare.blocks.iter().rposition(fits)?;
    let block = spare.blocks.swap_remove(index);
    spare.bytes -= block.capacity();
    spare.used = true;
    Some(block)
}

/// Keeps a large block that is needed no more. `Some` is for whoever is first to do so: to sweep.
#[must_use]
pub(crate) fn keep(mut block: Vec<u8>) -> Option<Sweeper> {
    block.clear();
    let mut spare = Spare::lock();
    spare.used = true;
    if spare.bytes + block.capacity() > MOST {
        drop(spare);
        release(block);
        return None;
    }
    spare.bytes += block.capacity();
    spare.blocks.push(block);
    let first = !std::mem::replace(&mut spare.swept, true);
    drop(spare);
    first.then(|| Sweeper(()))
}

/// Frees a block so that its memory goes back to the system.
///
/// glibc takes the largest block that was ever freed for the size of what is needed often, and from then on keeps twice as much in its
/// heap. A block that is small when it is freed teaches it nothing.
fn release(mut block: Vec<u8>) {
    block.shrink_to(1024);
}

/// Sweeps the spare blocks out; all of them, when it goes.
#[derive(Debug)]
pub(crate) struct Sweeper(());

impl Sweeper {
    /// Says whether the blocks were in use since the last look: then they stay. If not, there is nothing left to sweep.
    pub(crate) fn is_needed(&self) -> bool {
        std::mem::take(&mut Spare::lock().used)
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let spare = std::mem::replace(&mut *Spare::lock(), Spare::NONE);
        spare.blocks.into_iter().for_each(release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_again_until_they_are_swept_out() {
        let sweeper = keep(Vec::with_capacity(3 * LARGE)).unwrap();
        assert!(keep(Vec::with_capacity(LARGE)).is_none(), "one sweeps");
        assert!(take(4 * LARGE).is_none(), "too small");
        assert!(take(LARGE - 1).is_none(), "not worth it");
        assert_eq!(take(2 * LARGE).unwrap().capacity(), 3 * LARGE);
        assert!(take(2 * LARGE).is_none(), "taken");
        assert!(sweeper.is_needed() && !sweeper.is_needed());
        assert!(keep(Vec::with_capacity(MOST)).is_none() && Spare::lock().bytes == LARGE, "too much");
        drop(sweeper);
        assert!(take(LARGE).is_none(), "swept out");
        assert!(keep(Vec::with_capacity(LARGE)).is_some(), "a new sweeper");
    }
}
