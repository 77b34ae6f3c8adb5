//! Which listeners speak TLS, and whether they can.

use super::ServerEndpointExporter;
use crate::error::Problem;
use crate::server::{Binding, Encryption, Listen, Tls};
use crate::settings::Settings;

impl ServerEndpointExporter {
    /// Decides for each listener what it is encrypted by, and reads all certificates.
    pub(super) fn encrypt(
        &self,
        settings: &Settings,
        listeners: &mut [(Binding, Listen)],
        problems: &mut Vec<Problem>,
    ) {
        let common = self.tls.clone().or_else(|| Tls::of_settings(settings));
        let mut all: Vec<Tls> = common.iter().cloned().collect();
        for (_, listen) in listeners {
            match (&listen.encryption, &common) {
                (Encryption::AsOthers, Some(tls)) => listen.encryption = Encryption::IfTcp(tls.clone()),
                (Encryption::By(tls), _) if !all.iter().any(|other| other.is_same(tls)) => {
                    all.push(tls.clone());
                }
                _ => {}
            }
        }
        for tls in all {
            tls.offer_http2(cfg!(feature = "http2") && settings.http2);
            if let Err(faults) = tls.load() {
                problems.extend(faults.into_iter().map(|fault| Problem::new(format!("TLS: {fault}"))));
            }
        }
    }
}
