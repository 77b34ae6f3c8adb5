//! [`Outcome`]: what whoever has handed in a message is told.

use http::StatusCode;
use serde::{Serialize, Serializer};

use crate::cluster::ClusterError;
use crate::session::{Crossing, Delivery, Position};

/// What has become of a message.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(skip)]
    status: StatusCode,
    /// Sessions of this process whose queue has it.
    queued: usize,
    /// Sessions of this process that were closing or too slow.
    missed: usize,
    elsewhere: Elsewhere,
    /// How many nodes got it, where that is known.
    receivers: Option<u64>,
    #[serde(serialize_with = "as_json")]
    position: Option<Position>,
    /// It had been sent before, under the same id, and was not sent again.
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How it went beyond this process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Elsewhere {
    /// There is no cluster.
    Nowhere,
    /// The engine has it.
    Handed,
    /// Nobody knows whether it has crossed.
    Unknown,
    /// It has not crossed.
    Failed,
}

impl Outcome {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// It is in the queue of so many sessions, and was for nobody else.
    pub(super) fn queued(queued: usize) -> Self {
        Outcome {
            status: StatusCode::ACCEPTED,
            queued,
            missed: 0,
            elsewhere: Elsewhere::Nowhere,
            receivers: None,
            position: None,
            duplicate: false,
            error: None,
        }
    }

    /// There is no such session.
    pub(super) fn gone() -> Self {
        let error = Some("there is no such session".to_owned());
        Outcome { status: StatusCode::NOT_FOUND, error, ..Self::queued(0) }
    }

    pub(super) fn failed(error: &ClusterError) -> Self {
        let (status, elsewhere) = match error {
            ClusterError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Elsewhere::Failed),
            ClusterError::Timeout => (StatusCode::SERVICE_UNAVAILABLE, Elsewhere::Unknown),
            _ => (StatusCode::SERVICE_UNAVAILABLE, Elsewhere::Failed),
        };
        Outcome { status, elsewhere, error: Some(error.to_string()), ..Self::queued(0) }
    }

    pub(super) fn of(delivery: &Delivery) -> Self {
        let here = Outcome { missed: delivery.missed(), ..Self::queued(delivery.queued()) };
        match delivery.elsewhere() {
            Crossing::Nowhere => here,
            Crossing::Queued => Outcome { elsewhere: Elsewhere::Unknown, ..here },
            Crossing::Handed { receivers, position, duplicate } => Outcome {
                elsewhere: Elsewhere::Handed,
                receivers: *receivers,
                position: position.clone(),
                duplicate: *duplicate,
                ..here
            },
            Crossing::Failed(error) => {
                Outcome { queued: here.queued, missed: here.missed, ..Self::failed(error) }
            }
        }
    }
}

/// As `["<epoch>", <offset>]`, or null.
fn as_json<S: Serializer>(position: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    position.as_ref().map(|position| (&*position.epoch.0, position.offset)).serialize(serializer)
}
