use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::{TlsError, provider};
use crate::error_chain::Chain;

/// Time between two looks at a file with authorities.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

/// Settings for connections to others: the machine's trust store and the authorities in `ca_file`; host names are checked.
///
/// # Errors
///
/// [`TlsError::File`] when `ca_file` cannot be read or holds no certificate.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let failed = |reason: String| TlsError::File { path: path.to_owned(), reason };
        let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| failed(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(failed("it holds no certificate".into()));
        }
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Until `stop`: whenever the file with authorities changes, hands settings that trust the new ones to `take`. A file that cannot be
/// used changes nothing; the log says what is wrong, and `purpose` what the authorities are for.
pub async fn follow_authorities<E: std::error::Error + 'static>(
    ca_file: PathBuf,
    purpose: &'static str,
    stop: CancellationToken,
    take: impl Fn(ClientConfig) -> Result<(), E>,
) {
    let read = async || tokio::fs::read(&ca_file).await.unwrap_or_default();
    // What is there now was read before this task began, perhaps in another state.
    let mut seen = None;
    loop {
        let now = read().await;
        if seen.as_ref() != Some(&now) {
            let taken = client_config(Some(&ca_file)).map_err(|error| Chain(&error).to_string());
            let taken = taken.and_then(|tls| take(tls).map_err(|error| Chain(&error).to_string()));
            match taken {
                Ok(()) if seen.is_none() => {}
                Ok(()) => tracing::info!("the authorities for {purpose} were replaced"),
                Err(error) => tracing::error!(
                    error,
                    "the new authorities for {purpose} cannot be used, the old ones stay: {error}"
                ),
            }
            seen = Some(now);
        }
        if stop.run_until_cancelled(tokio::time::sleep(FOLLOW_INTERVAL)).await.is_none() {
            return;
        }
    }
}
