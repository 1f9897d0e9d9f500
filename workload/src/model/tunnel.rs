use super::Fingerprint;

/// The right to speak for a cluster's tunnel: which socket of which cluster, opened with which certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The cluster's number in the database.
    pub cluster_id: i64,
    /// Grows with every socket of the cluster, on whichever unit.
    pub generation: i64,
    /// The certificate of the socket.
    pub fingerprint: Fingerprint,
}
