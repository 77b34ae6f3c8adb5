//! [`Encoders`]: the encoders of one session, each of which one task at a time uses.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use super::forms::{Output, unsent};
use super::{Coders, Encoder, ListedEncoder};
use crate::error::{Error, Result};
use crate::message::{EncodeError, Message, Object};
use crate::session::{SendError, Session};

type Encoding<'a> = Pin<Box<dyn Future<Output = Result<Option<Message>, SendError>> + Send + 'a>>;

/// An instance of some encoder.
pub(super) trait AnyEncoder: Send {
    fn init(&mut self, session: &Session) -> Result<()>;
    /// The message of the value; `None`: it has been sent already.
    fn encode<'a>(&'a mut self, value: &'a (dyn Any + Send + Sync), session: &'a Session) -> Encoding<'a>;
    fn destroy(&mut self);
}

/// Makes an instance of the encoder `E`.
pub(super) fn new_encoder<E: Encoder>() -> Box<dyn AnyEncoder> {
    Box::new(E::default())
}

impl<E: Encoder> AnyEncoder for E {
    fn init(&mut self, session: &Session) -> Result<()> {
        Encoder::init(self, session)
    }

    fn encode<'a>(&'a mut self, value: &'a (dyn Any + Send + Sync), session: &'a Session) -> Encoding<'a> {
        Box::pin(async move {
            let Some(value) = value.downcast_ref::<E::Value>() else {
                return Err(EncodeError::new("this encoder is for values of another type").into());
            };
            let mut output = E::Output::begin(session);
            Encoder::encode(self, value, &mut output).await.map_err(failed)?;
            output.finish().await
        })
    }

    fn destroy(&mut self) {
        Encoder::destroy(self);
    }
}

/// The error of an encoder. That its writer could not send is not the encoder's failure.
fn failed(error: Error) -> SendError {
    match error {
        Error::Send(error) => error,
        Error::Encode(error) => error.into(),
        error => match error.into_boxed().downcast::<io::Error>() {
            Ok(error) => unsent(*error),
            Err(error) => EncodeError::new(error).into(),
        },
    }
}

/// The encoders of one session.
pub(crate) struct Encoders {
    slots: Vec<Slot>,
    /// How many have been initialised.
    ready: usize,
    /// They are out of service, or are going to be as soon as whoever uses one has finished.
    ended: AtomicBool,
}

struct Slot {
    kind: ListedEncoder,
    /// `None` when it is out of service.
    instance: Mutex<Option<Box<dyn AnyEncoder>>>,
}

impl Encoders {
    /// An instance of each.
    pub(crate) fn new(coders: &Coders) -> Self {
        let slot = |&kind: &ListedEncoder| Slot { kind, instance: Mutex::new(Some((kind.make)())) };
        Encoders {
            slots: coders.encoders().iter().map(slot).collect(),
            ready: 0,
            ended: AtomicBool::new(false),
        }
    }

    /// Brings them into service; stops at the first that fails.
    pub(crate) fn init(&mut self, session: &Session) -> Result<()> {
        for slot in &mut self.slots {
            if let Some(encoder) = slot.instance.get_mut() {
                encoder.init(session)?;
            }
            self.ready += 1;
        }
        Ok(())
    }

    /// By the first encoder for the object's type; `None`: there is none.
    pub(crate) async fn encode(
        &self,
        object: &Object,
        session: &Session,
    ) -> Option<Result<Option<Message>, SendError>> {
        let slot = self.slots.iter().find(|slot| slot.kind.takes.id() == object.of_type())?;
        let mut instance = InUse { slot, encoders: self, guard: Some(slot.instance.lock().await) };
        match instance.encoder() {
            Some(encoder) => Some(encoder.encode(object.as_any(), session).await),
            None => Some(Err(session.closed_error())),
        }
    }

    /// Takes one that nobody uses out of service, and all others too as soon as nobody does. `None` when none is left to be.
    pub(crate) fn destroy_one(&self) -> Option<()> {
        self.ended.store(true, Ordering::SeqCst);
        self.slots[..self.ready].iter().find_map(Slot::destroy)
    }
}

impl Slot {
    /// `None`: it is out of service already, or in use.
    fn destroy(&self) -> Option<()> {
        let mut encoder = self.instance.try_lock().ok()?.take()?;
        encoder.destroy();
        Some(())
    }
}

/// An encoder while it is used. Whoever lets go of it last, when its session has ended, takes it out of service.
struct InUse<'a> {
    slot: &'a Slot,
    encoders: &'a Encoders,
    guard: Option<MutexGuard<'a, Option<Box<dyn AnyEncoder>>>>,
}

impl InUse<'_> {
    fn encoder(&mut self) -> Option<&mut dyn AnyEncoder> {
        let encoder = self.guard.as_mut()?.deref_mut().as_mut()?;
        Some(&mut **encoder)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.guard = None;
        if self.encoders.ended.load(Ordering::SeqCst) {
            // While a panic unwinds, a second one would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| self.slot.destroy()));
        }
    }
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| slot.kind.name)).finish()
    }
}
