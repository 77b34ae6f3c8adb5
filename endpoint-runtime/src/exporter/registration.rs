//! [`Registration`]: what an annotation leaves in the program for the exporter to find.

use std::any::TypeId;
use std::fmt;

use crate::endpoint::{Declaration, Handlers, ServerDeclared};
use crate::server::ServerEndpointConfig;

/// An endpoint that was registered at link time.
pub struct Registration {
    pub(crate) declaration: Declaration,
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) config: fn() -> ServerEndpointConfig,
}

impl Registration {
    /// The registration of `E`.
    pub const fn of<E: Handlers + ServerDeclared>() -> Self {
        Registration {
            declaration: E::DECLARATION,
            type_id: TypeId::of::<E>,
            config: ServerEndpointConfig::of::<E>,
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.declaration.type_name).finish()
    }
}

inventory::collect!(Registration);
