//! The certificate that a listener presents, and its renewal without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use super::Identities;
use super::identities::EARLIER;
use crate::error_chain::Chain;
use crate::metrics::Metrics;

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// The pairs that new handshakes get, chosen by the name that a client asks for. Open connections keep the one that they began with.
#[derive(Debug)]
pub struct Presented(ArcSwap<Identities>);

/// What becomes of new files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// New handshakes get them.
    Present,
    /// The log says that they are there: whoever pinned the old certificate must not be cut off by a file.
    Report,
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().choose(hello.server_name()))
    }
}

impl Presented {
    /// Presents `identities` from now on.
    #[must_use]
    pub fn new(identities: impl Into<Identities>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(identities.into())))
    }

    /// Looks at `tls.crt`, `tls.key` and `earlier.pem` in `directory` every two seconds until `stop`. A new pair is presented as soon as both
    /// files belong together, or only reported, as `renewal` says. A pair that cannot be used changes nothing and is logged once.
    pub async fn follow(
        self: Arc<Self>,
        directory: PathBuf,
        renewal: Renewal,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        let mut seen = contents(&directory).await;
        metrics.certificate_files(None);
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            let now = contents(&directory).await;
            if now == seen {
                continue;
            }
            seen = now;
            match Identities::from_directory(&directory) {
                Ok(identities) if renewal == Renewal::Report => {
                    let (new, old) =
                        (identities.present().fingerprint(), self.0.load().present().fingerprint());
                    metrics.certificate_files((new != old).then_some("pinned"));
                    tracing::warn!(fingerprint = %new, presented = %old,
                        "the certificate's files have changed to {new}: clusters pin {old}, which is presented until the service restarts");
                }
                Ok(identities) => {
                    let fingerprint = identities.present().fingerprint();
                    tracing::info!(%fingerprint, "a new certificate is presented");
                    metrics.certificate_ends(identities.first_end());
                    metrics.certificate_files(None);
                    self.0.store(Arc::new(identities));
                }
                Err(error) => {
                    metrics.certificate_files(Some("unusable"));
                    tracing::error!(error = %Chain(&error), "the new certificate cannot be used: the old one stays");
                }
            }
        }
    }
}

/// What the files hold; a file that cannot be read counts as empty.
async fn contents(directory: &Path) -> [Vec<u8>; 3] {
    let read = async |name: &str| tokio::fs::read(directory.join(name)).await.unwrap_or_default();
    [read("tls.crt").await, read("tls.key").await, read(EARLIER).await]
}
