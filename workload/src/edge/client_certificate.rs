use salvo::Request;

use crate::model::Fingerprint;

/// The fingerprint of the certificate whose key the client proved in the TLS handshake, `None` without one. It is computed once
/// per request, for the rate limit and the handler alike.
pub fn presented_certificate(req: &mut Request) -> Option<Fingerprint> {
    if let Some(known) = req.extensions().get::<Fingerprint>() {
        return Some(*known);
    }
    let fingerprint = Fingerprint::of(req.tls_info()?.peer_certificates().first()?);
    req.extensions_mut().insert(fingerprint);
    Some(fingerprint)
}
