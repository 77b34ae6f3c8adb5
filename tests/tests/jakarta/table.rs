//! Tables: all rows run, and those that fail are reported together, by name. Rows run side by side ([`table`]), one after the other
//! ([`rows`]), each in a runtime of its own ([`each`]), or are only compared ([`equal`]).

use std::any::Any;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::told::{PATIENCE, soon};

/// Runs the rows side by side.
pub(crate) async fn table<N: Display, R: Future<Output = ()>>(rows: impl IntoIterator<Item = (N, R)>) {
    let rows = rows.into_iter().map(|(name, row)| async move {
        let outcome = AssertUnwindSafe(row).catch_unwind().await;
        outcome.err().map(|panic| format!("{name}: {}", said(&*panic)))
    });
    let outcomes = join_all(rows).await;
    let count = outcomes.len();
    report(count, &outcomes.into_iter().flatten().collect::<Vec<_>>());
}

/// Runs the rows one after the other. One that hangs has failed.
pub(crate) async fn rows<F: Future<Output = ()>>(table: impl IntoIterator<Item = (impl Display, F)>) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, row) in table {
        count += 1;
        match tokio::time::timeout(2 * PATIENCE, AssertUnwindSafe(row).catch_unwind()).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => failed.push(format!("{name}: {}", said(&*panic))),
            Err(_) => failed.push(format!("{name}: hangs")),
        }
    }
    report(count, &failed);
}

/// Runs every row in a runtime of its own.
#[track_caller]
pub(crate) fn each<R>(rows: impl IntoIterator<Item = (String, R)>, run: impl AsyncFn(R)) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, row) in rows {
        count += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(soon("the row", run(row)));
        }));
        if let Err(panic) = outcome {
            failed.push(format!("{name}: {}", said(&*panic)));
        }
    }
    report(count, &failed);
}

/// Compares what there is with what is expected.
#[track_caller]
pub(crate) fn equal<T: PartialEq + Debug>(table: impl IntoIterator<Item = (impl Display, T, T)>) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, found, expected) in table {
        count += 1;
        if found != expected {
            failed.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
    }
    report(count, &failed);
}

#[track_caller]
fn report(count: usize, failed: &[String]) {
    assert_ne!(count, 0, "a table without rows proves nothing");
    assert!(failed.is_empty(), "{} of {count} rows failed:\n{}", failed.len(), failed.join("\n"));
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}
