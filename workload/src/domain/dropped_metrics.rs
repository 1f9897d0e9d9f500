//! Clusters whose metrics are dropped: operators see it in the audit log, not only in the server's own metrics and log.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::error_chain::Chain;
use crate::model::{AuditEntry, Event, Origin};
use crate::remote_write::{OverBudget, RemoteWrite};
use crate::store::{Pool, audit};

/// Clusters that may wait to be recorded; more at once are left to the counts.
const WAITING: usize = 64;
/// Least time between two records of a cluster, whichever unit and receiver they are from. A cluster is reported once in each hour
/// of the clock: a little less, so that an early report in the next hour is not taken for the same.
const SAMPLE_TIME: Duration = Duration::from_mins(50);

/// Records from now on which clusters bring too many series, until `stop`.
pub fn record(pool: &Pool, forward: &RemoteWrite, stop: &CancellationToken, tasks: &TaskTracker) {
    let (sender, mut reports) = mpsc::channel(WAITING);
    forward.tell_over_budget(&sender);
    let (pool, stop) = (pool.clone(), stop.clone());
    tasks.spawn(async move {
        while let Some(Some(report)) = stop.run_until_cancelled(reports.recv()).await {
            if let Err(error) = write(&pool, &report).await {
                let cluster = report.cluster;
                tracing::error!(error = %Chain(&error), cluster.name = cluster, "the audit log could not be written");
            }
        }
    });
}

/// Records it, unless that was done a moment ago. `false`: it was.
async fn write(pool: &Pool, report: &OverBudget) -> Result<bool, Error> {
    let OverBudget { cluster, samples, series } = report;
    let reason = format!("more than {series} different series within an hour");
    let details = json!({"reason": reason, "samples": samples});
    let entry = AuditEntry::refused(Event::MetricsDropped, cluster, details);
    let seconds = SAMPLE_TIME.as_secs_f64();
    Ok(audit::insert_unless_recent(&pool.get().await?, &Origin::SYSTEM, &entry, seconds).await?)
}
