//! What an engine's error means to whoever has called: a [`ClusterError`].

use std::sync::Arc;

use super::{ClusterError, EngineError};

impl From<EngineError> for ClusterError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unavailable(error) => ClusterError::Unavailable(Arc::from(error)),
            EngineError::Timeout => ClusterError::Timeout,
            EngineError::TooLarge { bytes, limit } => ClusterError::TooLarge { bytes, limit },
            EngineError::Unsupported(what) => ClusterError::Unsupported(what),
            EngineError::Refused(error) => ClusterError::Refused(Arc::from(error)),
        }
    }
}
