//! Every form that an endpoint's struct and its arguments may have.

#![deny(warnings)]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use endpoint_runtime::prelude::*;

trait Audit: Send + Sync {}

#[server_endpoint("/unit")]
struct Unit;

#[server_endpoint("/tuple", scope = singleton)]
struct Tuple(#[inject] Arc<u8>, Mutex<u32>, #[init(Instant::now())] Instant);

const LIMIT: usize = 1 << 20;

mod rooms {
    use super::*;

    #[server_endpoint(
        "/named/{room}",
        subprotocols = ["chat.v2", "chat.v1"],
        scope = connection,
        max_message_size = LIMIT / 2,
        idle_timeout = "off",
        ping_interval = "250ms",
        send_buffer = 1_048_576,
        overflow = drop_oldest,
        compression = context,
        origins = ["https://example.com", "http://localhost:3000"],
    )]
    #[derive(Clone)]
    pub(crate) struct Named {
        #[inject]
        pub(crate) audit: Option<Arc<dyn Audit>>,
        #[inject]
        pub(crate) sessions: Sessions,
        #[inject]
        pub(crate) context: ApplicationContext,
        pub(crate) count: u32,
        #[init({
            let context = 3;
            vec![context; 8]
        })]
        pub(crate) log: Vec<u8>,
        pub(crate) r#type: Option<&'static str>,
    }
}

#[derive(Debug)]
#[server_endpoint("/derived-before")]
struct DerivedBefore {
    #[init(3)]
    count: u8,
}

#[handlers]
impl Unit {
    #[on_open]
    fn open() {}
}

#[handlers]
impl Tuple {
    #[on_message]
    async fn text(&self, text: String) {
        let mut count = self.1.lock().unwrap();
        *count += u32::from(*self.0) + text.len() as u32 + self.2.elapsed().subsec_nanos();
    }
}

#[handlers]
impl rooms::Named {
    #[on_message]
    fn text(&mut self, text: String) {
        self.count += 1;
        self.log.extend(text.bytes());
        let _ = (&self.audit, &self.sessions, &self.context, self.r#type);
    }
}

#[handlers]
impl DerivedBefore {
    #[on_error]
    fn error(&self, error: &Error) {
        let _ = (error, self.count);
    }
}

fn main() {
    #[server_endpoint("/inside")]
    struct Inside {
        heard: u32,
    }

    #[handlers]
    impl Inside {
        #[on_message]
        fn text(&mut self, _text: String) -> u32 {
            self.heard += 1;
            self.heard
        }
    }
}
