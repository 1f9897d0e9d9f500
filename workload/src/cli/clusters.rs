//! `clusters`: enrolled clusters.

use clap::Subcommand;
use workload_config::Config;

use super::output::{Ending, Format};
use super::table::Table;
use super::{Failure, pool, short_time};
use crate::domain::clusters::{self, AssessedCluster};
use crate::domain::warnings::Warning;
use crate::management_api::ClusterView;

/// What to do with clusters.
#[derive(Debug, Subcommand)]
pub(super) enum ClustersCommand {
    /// List all clusters (what `clusters` alone does)
    List,
    /// Show one cluster
    Show {
        /// Its name, exactly
        name: String,
    },
    /// Remove a cluster: its certificate stops working at once, the cluster itself goes on
    Remove {
        /// Its name, exactly
        name: String,
    },
}

/// Runs the command.
pub(super) async fn run(
    config: &Config,
    command: ClustersCommand,
    format: Format,
) -> Result<Ending, Failure> {
    let (pool, own_hosts) = (pool(config)?, config.own_hosts());
    match command {
        ClustersCommand::List => {
            let list = clusters::list(&pool).await?;
            let text = list_text(&list);
            let views: Vec<ClusterView> =
                list.iter().map(|cluster| ClusterView::of(cluster, &own_hosts)).collect();
            format.print(&views, || text)?;
        }
        ClustersCommand::Show { name } => {
            let cluster = clusters::get(&pool, &name).await?;
            let text = show_text(&cluster);
            format.print(&ClusterView::of(&cluster, &own_hosts), || text)?;
        }
        ClustersCommand::Remove { name } => {
            clusters::remove(&pool, &name, &super::origin()).await?;
            let text = format!("Removed {}.\n", super::table::printable(&name));
            format.print(&serde_json::json!({ "removed": name }), || text)?;
        }
    }
    Ok(Ending::Well)
}

fn list_text(list: &[AssessedCluster]) -> String {
    if list.is_empty() {
        return "No cluster is enrolled.\n".into();
    }
    let headings =
        ["NAME", "STATE", "MEMBERS", "INSTANCES", "MEMORY", "WARNINGS", "LAST HEARTBEAT"];
    let mut table = Table::new(&headings);
    for AssessedCluster { cluster, freshness, warnings } in list {
        table.row([
            &cluster.name,
            freshness.as_str(),
            &cluster.member_count.to_string(),
            &cluster.instance_count.to_string(),
            &share(cluster.memory_usage, cluster.memory_total_amount),
            &warnings.len().to_string(),
            &cluster.pulse.last_heartbeat_at.map_or_else(|| "never".into(), short_time),
        ]);
    }
    table.to_string()
}

fn show_text(AssessedCluster { cluster, freshness, warnings }: &AssessedCluster) -> String {
    let mut table = Table::pairs();
    table.row(["Name", &cluster.name]);
    table.row(["Description", &cluster.description]);
    table.row(["State", freshness.as_str()]);
    table.row(["Joined", &short_time(cluster.pulse.joined_at)]);
    let last = cluster.pulse.last_heartbeat_at.map_or_else(|| "never".into(), short_time);
    table.row(["Last heartbeat", &last]);
    table.row(["Fingerprint", &cluster.fingerprint.to_string()]);
    table.row(["Members", &cluster.member_count.to_string()]);
    table.row(["Instances", &cluster.instance_count.to_string()]);
    table.row(["MicroCeph members", &cluster.ceph_count.to_string()]);
    table.row(["Load", cluster.cpu_load.join(" ").trim()]);
    table.row(["Memory", &share(cluster.memory_usage, cluster.memory_total_amount)]);
    table.row(["Memory threshold", &threshold(cluster.memory_threshold)]);
    table.row(["Disk threshold", &threshold(cluster.disk_threshold)]);
    for pool in &cluster.storage_pool_usages {
        let place = if pool.member.is_empty() { "all members" } else { &*pool.member };
        let (usage, total) = (pool.usage.cast_signed(), pool.total.cast_signed());
        table.row(["Storage", &format!("{} on {place}: {}", pool.name, share(usage, total))]);
    }
    table.row(["UI", &cluster.ui_url]);
    for warning in warnings {
        table.row(["Warning", &sentence(warning)]);
    }
    table.to_string()
}

/// Used percent, rounded up as in warnings; a dash where nothing is known.
fn share(usage: i64, total: i64) -> String {
    let (usage, total) = (u128::from(usage.unsigned_abs()), u128::from(total.unsigned_abs()));
    (usage * 100 + total.saturating_sub(1))
        .checked_div(total)
        .map_or_else(|| "-".into(), |percent| format!("{percent} %"))
}

fn threshold(percent: i16) -> String {
    if percent == 0 { "none".into() } else { format!("{percent} %") }
}

fn sentence(warning: &Warning) -> String {
    match warning {
        Warning::Pool { name, member, percent, threshold } if member.is_empty() => {
            format!("storage pool {name} is {percent} % full, over {threshold} %")
        }
        Warning::Pool { name, member, percent, threshold } => {
            format!("storage pool {name} on {member} is {percent} % full, over {threshold} %")
        }
        Warning::Memory { percent, threshold } => {
            format!("{percent} % of the memory is used, over {threshold} %")
        }
        Warning::Members { count } => format!("members not online: {count}"),
        Warning::Instances { count } => format!("instances in an error state: {count}"),
        Warning::Heartbeat { minutes } => format!("silent for {minutes} minutes"),
        Warning::Certificate { days, .. } => format!("its certificate ends in {days} days"),
        Warning::Clock { seconds } => format!("its clock is ahead by {seconds} s or more"),
        Warning::Ceph { status, count } => format!("MicroCeph members {status}: {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_never_divide_by_nothing() {
        for (usage, total, shown) in [
            (0, 0, "-"),
            (1, 0, "-"),
            (0, 100, "0 %"),
            (1, 100, "1 %"),
            (1, 1000, "1 %"),
            (901, 1000, "91 %"),
            (i64::MAX, i64::MAX, "100 %"),
        ] {
            assert_eq!(share(usage, total), shown);
        }
    }
}
