//! What the outbox's protocol is built of: the standard library's, or, where every order of events is to be tried, shuttle's.

#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU64},
};
#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU64},
};
