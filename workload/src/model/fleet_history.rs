use time::OffsetDateTime;

/// What the fleet looks like at one moment, in few numbers. Averages of several moments have fractions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FleetSample {
    /// Enrolled clusters.
    pub clusters: f64,
    /// Those that are online.
    pub online: f64,
    /// Those with at least one warning.
    pub with_warnings: f64,
    /// Members of all clusters.
    pub members: f64,
    /// Instances of all clusters.
    pub instances: f64,
    /// Used memory in bytes.
    pub memory_used: f64,
    /// Memory in bytes.
    pub memory_total: f64,
}

/// The average over one interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetHistoryPoint {
    /// Beginning of the interval.
    pub at: OffsetDateTime,
    /// The average.
    pub average: FleetSample,
}
