//! What new join tokens say about the connector's certificate.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Identities;
use crate::error_chain::Chain;
use crate::model::Fingerprint;

/// The fingerprint of the certificate that the Cluster Connector presents, for a service that does not present it itself.
#[derive(Debug)]
pub struct Pin {
    last: Mutex<Fingerprint>,
    /// The connector's files, where it follows them.
    directory: Option<PathBuf>,
}

impl Pin {
    /// `last`, until other files are in `directory`.
    #[must_use]
    pub fn new(last: Fingerprint, directory: Option<PathBuf>) -> Self {
        Self { last: Mutex::new(last), directory }
    }

    /// The fingerprint of this moment. Files that cannot be used change nothing, as at the connector.
    pub fn now(&self) -> Fingerprint {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &self.directory {
            match Identities::from_directory(directory) {
                Ok(identities) => *last = identities.present().fingerprint(),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the connector's new certificate cannot be used: tokens name the old one");
                }
            }
        }
        *last
    }
}
