use salvo::Request;

use crate::model::Fingerprint;

/// The fingerprint of the certificate whose key the client proved in the TLS handshake. `None` without one, and when more
/// certificates came with it: a cluster's certificate is self-signed and comes alone. It is computed once per request, for the
/// rate limit and the handler alike.
pub fn presented_certificate(req: &mut Request) -> Option<Fingerprint> {
    if let Some(known) = req.extensions().get::<Fingerprint>() {
        return Some(*known);
    }
    let [certificate] = req.tls_info()?.peer_certificates() else { return None };
    let fingerprint = Fingerprint::of(certificate);
    req.extensions_mut().insert(fingerprint);
    Some(fingerprint)
}
