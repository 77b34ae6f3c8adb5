//! [`EndpointConfig`]: what is configured for an endpoint, as its handlers may read it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::extension::Extension;
use super::{EndpointType, Limits};
use crate::access::Roles;
use crate::message::Text;

/// What is configured for the endpoint of a session (Jakarta's `EndpointConfig`): a handler takes it as `&EndpointConfig`, and
/// [`Session::config`](crate::Session::config) gives it.
///
/// ```
/// use endpoint_runtime::EndpointConfig;
/// use endpoint_runtime::prelude::*;
///
/// #[server_endpoint("/about", subprotocols = ["about.v1"])]
/// struct About;
///
/// #[handlers]
/// impl About {
///     #[on_open]
///     fn open(&self, config: &EndpointConfig) -> String {
///         format!("{} speaks {:?}", config.path(), config.subprotocols())
///     }
/// }
/// ```
pub struct EndpointConfig {
    /// The path template; the path of the URL for a client.
    pub(crate) path: String,
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    /// With the modules it stands in: what other nodes know it by.
    pub(crate) full_name: &'static str,
    pub(crate) subprotocols: Vec<Text>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) roles: Roles,
    pub(crate) limits: Limits,
    pub(crate) configurator: Option<Arc<dyn Any + Send + Sync>>,
}

impl EndpointConfig {
    pub(super) fn endpoint_type(&self) -> EndpointType {
        EndpointType { id: self.type_id, name: self.full_name }
    }

    /// The path template; on a client, which has none, the path of the URL that it connected to.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the endpoint's type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Whether this is the endpoint type `E`.
    pub fn is<E: 'static>(&self) -> bool {
        self.type_id == TypeId::of::<E>()
    }

    /// The subprotocols it speaks.
    pub fn subprotocols(&self) -> &[Text] {
        &self.subprotocols
    }

    /// The extensions it can agree on.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The roles of which a peer must be in one to connect; none if everybody may.
    pub fn required_roles(&self) -> &[String] {
        self.roles.names()
    }

    /// The largest message it takes, bytes.
    pub fn max_message_size(&self) -> usize {
        self.limits.max_message_size
    }

    /// The endpoint's [`Configurator`](crate::Configurator), if it has one and that is a `C`: what it keeps, all sessions of the endpoint
    /// share (Jakarta CF-07).
    pub fn configurator<C: 'static>(&self) -> Option<&C> {
        self.configurator.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("path", &self.path)
            .field("type", &self.type_name)
            .field("subprotocols", &self.subprotocols)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}
