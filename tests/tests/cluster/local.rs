//! `Local`, by which a cluster is one process.

use endpoint_runtime::cluster::Local;

use crate::suite;

#[tokio::test(start_paused = true)]
async fn local_keeps_what_an_engine_promises() {
    suite::run(|| async {
        let one = Local::new();
        (one.clone(), one)
    })
    .await;
}

#[tokio::test]
async fn local_keeps_it_in_real_time() {
    suite::run(|| async {
        let one = Local::new();
        (one.clone(), one)
    })
    .await;
}
