//! Which clusters are taken over, and how each is repaired.

use std::collections::{BTreeSet, HashMap};

use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use super::plan::{Circumstances, Here, MAX_NAME_BYTES, Plan, folded, moment};
use super::report::{Item, Kind, Outcome, Repair};
use crate::model::{ClusterCertificate, ClusterName, Fingerprint, Heartbeat, StatusCount, UiUrl};
use crate::store::takeover::{NewCluster, SourceCluster, SourceSetting};

/// What a threshold becomes that cannot be read: what every new cluster gets.
const DEFAULT_THRESHOLD: i16 = 80;

/// Certificates may begin in the year 0, which no text has that PostgreSQL reads.
const FIRST_YEAR: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);

/// Plans for the rows that were not dealt with before.
pub(super) fn plan(
    plan: &mut Plan,
    rows: &[SourceCluster],
    details: &HashMap<i64, Value>,
    settings: &[SourceSetting],
    here: &Here,
    circumstances: &Circumstances,
    now: OffsetDateTime,
) {
    let mut settings_of: HashMap<i64, Vec<&SourceSetting>> = HashMap::new();
    for setting in settings {
        settings_of.entry(setting.remote_cluster_id).or_default().push(setting);
    }
    let certificates: HashMap<i64, Result<ClusterCertificate, String>> =
        rows.iter().map(|row| (row.id, admissible(row, here))).collect();
    let owners = owners(rows, &certificates, details);
    let mut similar: HashMap<String, BTreeSet<&str>> = HashMap::new();
    for name in rows.iter().map(|row| &row.name).chain(&here.names) {
        similar.entry(folded(name)).or_default().insert(name);
    }

    for row in rows {
        let empty = Vec::new();
        let parts = Parts {
            row,
            detail: details.get(&row.id),
            settings: settings_of.get(&row.id).unwrap_or(&empty),
        };
        let mut item = Item {
            kind: Kind::Cluster,
            source_id: row.id,
            name: row.name.clone(),
            outcome: Outcome::Refused,
            reason: None,
            repairs: Vec::new(),
            notes: Vec::new(),
        };
        let certificate = match certificates.get(&row.id) {
            Some(Ok(certificate)) => certificate,
            Some(Err(reason)) => {
                item.reason = Some(reason.clone());
                plan.add(item);
                continue;
            }
            None => continue,
        };
        let owner = owners.get(&certificate.fingerprint());
        if let Some(owner) = owner.filter(|owner| owner.id != row.id) {
            item.reason =
                Some(format!("it has the same certificate as {}, which reported last", owner.name));
            plan.add(item);
            continue;
        }
        item.outcome = Outcome::Copied;
        let others = similar.get(&folded(&row.name)).into_iter().flatten();
        let others = others.filter(|name| **name != row.name);
        for other in others {
            item.notes.push(format!(
                "its name differs from {other} in case or in '-' and '_' only: metrics cannot tell them apart"
            ));
        }
        let cluster = parts.cluster(certificate, circumstances, now, &mut item);
        plan.clusters.push(cluster);
        plan.add(item);
    }
}

/// The certificate of a row that can be taken over, as far as the row itself and our own tables are concerned.
fn admissible(row: &SourceCluster, here: &Here) -> Result<ClusterCertificate, String> {
    if !matches!(row.status.as_deref(), None | Some("ACTIVE")) {
        return Err("it was never approved".into());
    }
    if row.name.len() > MAX_NAME_BYTES {
        return Err(format!("its name has more than {MAX_NAME_BYTES} bytes"));
    }
    let certificate = ClusterCertificate::from_imported_pem(&row.cluster_certificate)
        .map_err(|error| error.to_string())?;
    if let Some(name) = here.certificates.get(&certificate.fingerprint()) {
        return Err(format!("its certificate is enrolled here as {name}"));
    }
    if here.names.contains(&row.name) {
        return Err("a cluster of this name is enrolled here".into());
    }
    Ok(certificate)
}

/// Of clusters with one certificate the one that reported last: the earlier product gave it the heartbeats. Without any
/// difference it is the one that was there first.
fn owners<'a>(
    rows: &'a [SourceCluster],
    certificates: &HashMap<i64, Result<ClusterCertificate, String>>,
    details: &HashMap<i64, Value>,
) -> HashMap<Fingerprint, &'a SourceCluster> {
    let mut owners: HashMap<Fingerprint, (Option<OffsetDateTime>, &SourceCluster)> = HashMap::new();
    for row in rows {
        let Some(Ok(certificate)) = certificates.get(&row.id) else { continue };
        let reported = details.get(&row.id).and_then(|detail| time(detail, "updated_at"));
        owners
            .entry(certificate.fingerprint())
            .and_modify(|owner| {
                if reported > owner.0 {
                    *owner = (reported, row);
                }
            })
            .or_insert((reported, row));
    }
    owners.into_iter().map(|(fingerprint, (_, row))| (fingerprint, row)).collect()
}

/// What the earlier product knows about one cluster.
struct Parts<'a> {
    row: &'a SourceCluster,
    detail: Option<&'a Value>,
    settings: &'a [&'a SourceSetting],
}

impl Parts<'_> {
    fn cluster(
        &self,
        certificate: &ClusterCertificate,
        circumstances: &Circumstances,
        now: OffsetDateTime,
        item: &mut Item,
    ) -> NewCluster {
        if certificate.to_pem() != self.row.cluster_certificate {
            item.repairs.push(Repair::CertificateText);
        }
        if now > certificate.not_after() {
            item.notes.push("its certificate has expired: it cannot report".into());
        }
        if ClusterName::parse(&self.row.name).is_err() {
            item.notes.push("it keeps a name that would not be accepted today".into());
        }
        let detail_time = |key| self.detail.and_then(|detail| time(detail, key));
        let (created, updated) = (detail_time("created_at"), detail_time("updated_at"));
        let joined_at = plausible(moment(self.row.created_at.as_deref()));
        if joined_at.is_none() {
            item.repairs.push(Repair::EnrolmentTime);
        }
        let joined_at = joined_at
            .or(plausible(created))
            .or(plausible(moment(self.row.joined_at.as_deref())))
            .unwrap_or(now)
            .min(now);
        // A join sets both times of the detail row to the same moment; what moves the second is a heartbeat.
        let last_heartbeat_at = plausible(updated).filter(|_| updated > created);
        NewCluster {
            name: self.row.name.clone(),
            description: self.row.description.clone().unwrap_or_default(),
            certificate: certificate.to_pem(),
            fingerprint: certificate.fingerprint().to_string(),
            certificate_not_before: certificate.not_before().max(FIRST_YEAR),
            certificate_not_after: certificate.not_after().max(FIRST_YEAR),
            disk_threshold: self.threshold("disk_threshold", self.row.disk_threshold, item),
            memory_threshold: self.threshold("memory_threshold", self.row.memory_threshold, item),
            joined_at,
            last_heartbeat_at: last_heartbeat_at.map(|time| time.min(now)),
            status: self.status(circumstances, item),
        }
    }

    /// A threshold in percent; 0, which warns never, where none was configured.
    fn threshold(&self, key: &str, column: Option<i64>, item: &mut Item) -> i16 {
        let unknown = self
            .settings
            .iter()
            .filter(|s| !matches!(&*s.key, "disk_threshold" | "memory_threshold"));
        if key == "disk_threshold" {
            item.notes.extend(
                unknown.map(|setting| format!("its setting {} is not known here", setting.key)),
            );
        }
        let setting = self.settings.iter().find(|setting| setting.key == key);
        let given = match setting {
            Some(setting) => setting.value.trim().parse().ok(),
            None => Some(column.unwrap_or(0)),
        };
        let percent = given.and_then(|given: i64| i16::try_from(given).ok());
        percent.filter(|percent| (0..=100).contains(percent)).unwrap_or_else(|| {
            if !item.repairs.contains(&Repair::Threshold) {
                item.repairs.push(Repair::Threshold);
            }
            DEFAULT_THRESHOLD
        })
    }

    /// The columns of what the last heartbeat said.
    fn status(&self, circumstances: &Circumstances, item: &mut Item) -> Value {
        let readable = |detail: &Value| {
            let limits = &circumstances.heartbeat_limits;
            let heartbeat = Heartbeat::within(limits).deserialize(detail).ok()?;
            // The link is judged below, and its length is no reason to lose the rest.
            Heartbeat { ui_url: String::new(), ..heartbeat.clone() }.check(limits).ok()?;
            Some(heartbeat)
        };
        let heartbeat = self.detail.and_then(readable);
        let detail = self.detail.filter(|_| heartbeat.is_some());
        let heartbeat = heartbeat.unwrap_or_else(|| {
            item.repairs.push(Repair::StatusData);
            Heartbeat::default()
        });
        let ui_url = UiUrl::sanitise(&heartbeat.ui_url, &circumstances.own_hosts);
        if ui_url.as_str() != heartbeat.ui_url {
            item.repairs.push(Repair::UiUrl);
        }
        let count = |key: &str, list: &[StatusCount]| {
            let stored = detail.and_then(|detail| detail.get(key)).and_then(Value::as_i64);
            stored.filter(|count| *count >= 0).unwrap_or_else(|| StatusCount::sum(list))
        };
        json!({
            "ceph_count": count("ceph_count", &heartbeat.ceph_statuses),
            "ceph_statuses": heartbeat.ceph_statuses,
            "cpu_total_count": heartbeat.cpu_total_count,
            "cpu_load_1": heartbeat.cpu_load_1,
            "cpu_load_5": heartbeat.cpu_load_5,
            "cpu_load_15": heartbeat.cpu_load_15,
            "memory_total_amount": heartbeat.memory_total_amount,
            "memory_usage": heartbeat.memory_usage,
            "storage_pool_usages": heartbeat.storage_pool_usages,
            "member_count": count("member_count", &heartbeat.member_statuses),
            "member_statuses": heartbeat.member_statuses,
            "instance_count": count("instance_count", &heartbeat.instance_statuses),
            "instance_statuses": heartbeat.instance_statuses,
            "ui_url": ui_url.as_str(),
        })
    }
}

fn time(row: &Value, key: &str) -> Option<OffsetDateTime> {
    moment(row.get(key).and_then(Value::as_str))
}

/// The earlier product writes year 1 for "no time".
fn plausible(time: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    time.filter(|time| *time >= OffsetDateTime::UNIX_EPOCH)
}
