//! `/1.0/remote-cluster` and `/1.0/remote-cluster/{name}`.

use std::sync::Arc;

use salvo::{Depot, Request, Response, Scribe, handler};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::caller::caller;
use super::{app, fleet, json_body};
use crate::domain::clusters::{self, AssessedCluster};
use crate::domain::fleet::Entry;
use crate::domain::freshness::Freshness;
use crate::domain::tunnels;
use crate::domain::warnings::{self, Warning};
use crate::edge::{ApiError, EmptyObject, Reply, Success, cluster_name};
use crate::model::{
    ClusterChanges, Description, RemoteCluster, StatusCount, StoragePoolUsage, Threshold, UiUrl,
};

/// A cluster as the API shows it. The keys from `state` on are ours; the others and their order are those of the contract.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ClusterView<'a> {
    name: &'a str,
    description: &'a str,
    cluster_certificate: &'a str,
    disk_threshold: i16,
    memory_threshold: i16,
    status: &'static str,
    ceph_count: i64,
    ceph_statuses: &'a [StatusCount],
    cpu_total_count: i64,
    cpu_load_1: &'a str,
    cpu_load_5: &'a str,
    cpu_load_15: &'a str,
    memory_total_amount: i64,
    memory_usage: i64,
    storage_pool_usages: &'a [StoragePoolUsage],
    member_count: i64,
    member_statuses: &'a [StatusCount],
    instance_count: i64,
    instance_statuses: &'a [StatusCount],
    /// Where the link leads: to the address that the cluster reports, unless an operator wrote another one.
    ui_url: &'a str,
    tunnel_registered: bool,
    #[serde(with = "time::serde::rfc3339")]
    joined_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The last heartbeat; before the first one, the time of the join.
    #[serde(with = "time::serde::rfc3339")]
    last_status_update_at: OffsetDateTime,
    state: Freshness,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    last_heartbeat_at: Option<OffsetDateTime>,
    heartbeat_interval_seconds: f32,
    certificate_fingerprint: String,
    #[serde(with = "time::serde::rfc3339")]
    certificate_not_after: OffsetDateTime,
    /// What an operator wrote; empty: nothing.
    ui_url_override: &'a str,
    warnings: &'a [Warning],
}

impl<'a> ClusterView<'a> {
    /// The view of a cluster and of what was concluded from its data. Who stored the link may not have known all of `own_hosts`.
    pub(crate) fn new(
        cluster: &'a RemoteCluster,
        freshness: Freshness,
        warnings: &'a [Warning],
        own_hosts: &[String],
    ) -> Self {
        let [one, five, fifteen] = &cluster.cpu_load;
        let pulse = &cluster.pulse;
        Self {
            name: &cluster.name,
            description: &cluster.description,
            cluster_certificate: &cluster.certificate,
            disk_threshold: cluster.disk_threshold,
            memory_threshold: cluster.memory_threshold,
            status: "ACTIVE",
            ceph_count: cluster.ceph_count,
            ceph_statuses: &cluster.ceph_statuses,
            cpu_total_count: cluster.cpu_total_count,
            cpu_load_1: one,
            cpu_load_5: five,
            cpu_load_15: fifteen,
            memory_total_amount: cluster.memory_total_amount,
            memory_usage: cluster.memory_usage,
            storage_pool_usages: &cluster.storage_pool_usages,
            member_count: cluster.member_count,
            member_statuses: &cluster.member_statuses,
            instance_count: cluster.instance_count,
            instance_statuses: &cluster.instance_statuses,
            ui_url: UiUrl::shown(cluster.ui_link(), own_hosts),
            tunnel_registered: cluster.tunnel_registered,
            joined_at: pulse.joined_at,
            created_at: pulse.joined_at,
            last_status_update_at: pulse.last_heartbeat_at.unwrap_or(pulse.joined_at),
            state: freshness,
            last_heartbeat_at: pulse.last_heartbeat_at,
            heartbeat_interval_seconds: pulse.heartbeat_interval_seconds,
            certificate_fingerprint: cluster.fingerprint.to_string(),
            certificate_not_after: cluster.certificate_validity[1],
            ui_url_override: &cluster.ui_url_override,
            warnings,
        }
    }

    /// The view of a cluster that was judged.
    pub(crate) fn of(
        AssessedCluster { cluster, freshness, warnings }: &'a AssessedCluster,
        own_hosts: &[String],
    ) -> Self {
        Self::new(cluster, *freshness, warnings, own_hosts)
    }
}

impl ClusterView<'_> {
    /// The keys in their order.
    pub(super) const KEYS: [&'static str; 31] = [
        "name",
        "description",
        "cluster_certificate",
        "disk_threshold",
        "memory_threshold",
        "status",
        "ceph_count",
        "ceph_statuses",
        "cpu_total_count",
        "cpu_load_1",
        "cpu_load_5",
        "cpu_load_15",
        "memory_total_amount",
        "memory_usage",
        "storage_pool_usages",
        "member_count",
        "member_statuses",
        "instance_count",
        "instance_statuses",
        "ui_url",
        "tunnel_registered",
        "joined_at",
        "created_at",
        "last_status_update_at",
        "state",
        "last_heartbeat_at",
        "heartbeat_interval_seconds",
        "certificate_fingerprint",
        "certificate_not_after",
        "ui_url_override",
        "warnings",
    ];
}

/// `GET /1.0/remote-cluster?filter=&state=&warning=&sort=&limit=&after=&fields=`: clusters, without parameters all of them in the byte
/// order of their names.
#[handler]
pub(super) async fn list(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
) -> Result<(), ApiError> {
    let app = app(depot)?;
    let (query, fields) = (fleet::query(req)?, fleet::fields(req, &ClusterView::KEYS)?);
    let (fleet, now) = app.fleet.now().await?;
    if query.is_everything() && fields.is_none() {
        // Thousands of clusters take longer than a request may keep a thread that others need.
        let write = move || app.all_clusters.at(&fleet, now, &app.own_hosts);
        let all = tokio::task::spawn_blocking(write).await;
        let all = all.map_err(|error| ApiError::Internal(error.into()))?;
        all.answer(req, res).await;
        return Ok(());
    }
    let chosen = query.select(&fleet)?;
    let judged = |entry: &Arc<Entry>| {
        let freshness = Freshness::of(&entry.cluster.pulse, now);
        (freshness, warnings::of(&entry.cluster, freshness, now))
    };
    let judged: Vec<_> = chosen.iter().map(|entry| judged(entry)).collect();
    let views = chosen.iter().zip(&judged).map(|(entry, (freshness, warnings))| {
        ClusterView::new(&entry.cluster, *freshness, warnings, &app.own_hosts)
    });
    match fields {
        None => Success(views.collect::<Vec<_>>()).render(res),
        Some(fields) => {
            let views = views.map(|view| fleet::selected(&view, &fields));
            Success(views.collect::<Vec<_>>()).render(res);
        }
    }
    Ok(())
}

/// `GET /1.0/remote-cluster/{name}`: one cluster.
#[handler]
pub(super) async fn get(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let app = app(depot)?;
    let cluster = clusters::get(&app.pool, &cluster_name(req)?).await?;
    Success(ClusterView::of(&cluster, &app.own_hosts)).render(res);
    Ok(())
}

/// Body of a change. What is absent or null stays; a threshold of 0 stays, as clients know it.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct ChangeBody {
    status: Option<String>,
    description: Option<String>,
    disk_threshold: Option<i64>,
    memory_threshold: Option<i64>,
    /// Where the link to the cluster's own web UI leads instead of the address that the cluster reports; empty: there.
    ui_url: Option<String>,
}

impl ChangeBody {
    pub(super) fn into_changes(self, own_hosts: &[String]) -> Result<ClusterChanges, ApiError> {
        if !matches!(self.status.as_deref(), None | Some("" | "ACTIVE")) {
            return Err(ApiError::BadRequest("invalid status".into()));
        }
        let threshold = |value: Option<i64>, what: &str| match value.filter(|percent| *percent != 0)
        {
            None => Ok(None),
            Some(percent) => Threshold::new(percent).map(Some).ok_or_else(|| {
                ApiError::BadRequest(format!("{what} threshold must be 1 to 100 percent"))
            }),
        };
        let description = self.description.as_deref().map(Description::parse).transpose();
        let ui_url = self.ui_url.as_deref().map(|text| UiUrl::parse(text, own_hosts)).transpose();
        Ok(ClusterChanges {
            description: description.map_err(|error| ApiError::BadRequest(error.to_string()))?,
            disk_threshold: threshold(self.disk_threshold, "disk")?,
            memory_threshold: threshold(self.memory_threshold, "memory")?,
            ui_url_override: ui_url.map_err(|error| ApiError::BadRequest(error.to_string()))?,
        })
    }
}

/// `PATCH /1.0/remote-cluster/{name}`: changes description and thresholds.
#[handler]
pub(super) async fn change(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    let app = app(depot)?;
    let name = cluster_name(req)?;
    let body: ChangeBody = json_body(req, &app).await?;
    let changes = body.into_changes(&app.own_hosts)?;
    clusters::change(&app.pool, &name, &changes, &caller(depot)?.origin).await?;
    Ok(Success::EMPTY)
}

/// `DELETE /1.0/remote-cluster/{name}`: removes the cluster from the manager; the cluster itself goes on.
#[handler]
pub(super) async fn remove(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    let (app, name) = (app(depot)?, cluster_name(req)?);
    let target = tunnels::target(&app.pool, &app.tunnels.addresses, &name).await;
    clusters::remove(&app.pool, &name, &caller(depot)?.origin).await?;
    if let Ok(target) = target {
        app.tunnels.sessions.forget_cluster(target.cluster_id);
    }
    Ok(Success::EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::parse_json;

    #[test]
    fn a_change_names_what_it_changes_and_bad_values_are_refused() {
        let changes = |json: &str| {
            parse_json::<ChangeBody>(json.as_bytes(), 16).and_then(|body| body.into_changes(&[]))
        };
        let none = changes(r#"{"status":"","description":null,"disk_threshold":0}"#).unwrap();
        assert!(none.is_empty());
        let some =
            changes(r#"{"status":"ACTIVE","description":"","memory_threshold":100}"#).unwrap();
        assert_eq!(some.description.unwrap().as_str(), "");
        assert_eq!(some.memory_threshold.unwrap().percent(), 100);
        for (json, text) in [
            (r#"{"status":"GONE"}"#, "invalid status"),
            (r#"{"disk_threshold":101}"#, "disk threshold must be 1 to 100 percent"),
            (r#"{"memory_threshold":-1}"#, "memory threshold must be 1 to 100 percent"),
            (
                r#"{"ui_url":"http://lxd.example"}"#,
                "ui_url must be an https address of at most 2048 bytes without user information, on another host than this manager",
            ),
            ("", "EOF"),
        ] {
            assert_eq!(changes(json).unwrap_err().to_string(), text);
        }
        assert!(changes(r#"{"disk_threshold":"80"}"#).is_err());
        assert!(changes(r#"{"description":"a","description":"b"}"#).is_err());
        assert!(changes("{} {}").is_err());
    }
}
