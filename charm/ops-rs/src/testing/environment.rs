//! The variables that Juju sets.

use crate::dispatch::{Event, RelationEvent, SecretEvent, StorageEvent, WorkloadEvent};
use crate::ids::UnitName;

/// The variables that Juju sets for every hook, for the hook `hook` on `unit`.
#[must_use]
pub fn hook_environment(hook: &str, unit: &str) -> Vec<(String, String)> {
    let path = format!("hooks/{hook}");
    let vars = [
        ("JUJU_DISPATCH_PATH", path.as_str()),
        ("JUJU_HOOK_NAME", hook),
        ("JUJU_UNIT_NAME", unit),
        ("JUJU_MODEL_NAME", "test-model"),
        ("JUJU_MODEL_UUID", "6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4"),
        ("JUJU_VERSION", "3.6.9"),
    ];
    vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The variables that Juju sets for `event` on `unit`.
#[must_use]
pub fn event_environment(event: &Event, unit: &UnitName) -> Vec<(String, String)> {
    let mut vars = hook_environment(&hook_name(event), unit.as_str());
    let mut set = |name: &str, value: &str| vars.push((name.to_owned(), value.to_owned()));
    match event {
        Event::Action { name, id } => {
            set("JUJU_DISPATCH_PATH", &format!("actions/{name}"));
            set("JUJU_HOOK_NAME", "");
            set("JUJU_ACTION_NAME", name);
            set("JUJU_ACTION_UUID", id);
            set("JUJU_ACTION_TAG", &format!("action-{id}"));
        }
        Event::Relation { id, app, kind } => {
            set("JUJU_RELATION", id.endpoint().as_str());
            set("JUJU_RELATION_ID", &id.to_string());
            set("JUJU_REMOTE_APP", app.as_str());
            let remote = match kind {
                RelationEvent::Joined(unit) | RelationEvent::Departed { unit, .. } => Some(unit),
                RelationEvent::Changed(unit) => unit.as_ref(),
                RelationEvent::Created | RelationEvent::Broken => None,
            };
            set("JUJU_REMOTE_UNIT", remote.map_or("", UnitName::as_str));
            if let RelationEvent::Departed { departing: Some(unit), .. } = kind {
                set("JUJU_DEPARTING_UNIT", unit.as_str());
            }
        }
        Event::Secret { id, label, kind } => {
            set("JUJU_SECRET_ID", id.as_str());
            set("JUJU_SECRET_LABEL", label.as_deref().unwrap_or_default());
            if let SecretEvent::Remove(revision) | SecretEvent::Expired(revision) = kind {
                set("JUJU_SECRET_REVISION", &revision.to_string());
            }
        }
        Event::Workload { container, kind } => {
            set("JUJU_WORKLOAD_NAME", container);
            match kind {
                WorkloadEvent::Ready => {}
                WorkloadEvent::Notice { id, kind, key } => {
                    set("JUJU_NOTICE_ID", id);
                    set("JUJU_NOTICE_TYPE", kind);
                    set("JUJU_NOTICE_KEY", key);
                }
                WorkloadEvent::CheckFailed(name) | WorkloadEvent::CheckRecovered(name) => {
                    set("JUJU_PEBBLE_CHECK_NAME", name);
                }
            }
        }
        Event::Storage { name, index, location, .. } => {
            set("JUJU_STORAGE_ID", &format!("{name}/{index}"));
            if let Some(location) = location {
                set("JUJU_STORAGE_LOCATION", &location.to_string_lossy());
            }
        }
        _ => {}
    }
    vars
}

fn hook_name(event: &Event) -> String {
    match event {
        Event::Install => "install".to_owned(),
        Event::Start => "start".to_owned(),
        Event::Stop => "stop".to_owned(),
        Event::Remove => "remove".to_owned(),
        Event::ConfigChanged => "config-changed".to_owned(),
        Event::UpdateStatus => "update-status".to_owned(),
        Event::UpgradeCharm => "upgrade-charm".to_owned(),
        Event::LeaderElected => "leader-elected".to_owned(),
        Event::Relation { id, kind, .. } => {
            let what = match kind {
                RelationEvent::Created => "created",
                RelationEvent::Joined(_) => "joined",
                RelationEvent::Changed(_) => "changed",
                RelationEvent::Departed { .. } => "departed",
                RelationEvent::Broken => "broken",
            };
            format!("{}-relation-{what}", id.endpoint())
        }
        Event::Secret { kind, .. } => {
            let what = match kind {
                SecretEvent::Changed => "changed",
                SecretEvent::Rotate => "rotate",
                SecretEvent::Remove(_) => "remove",
                SecretEvent::Expired(_) => "expired",
            };
            format!("secret-{what}")
        }
        Event::Workload { container, kind } => {
            let what = match kind {
                WorkloadEvent::Ready => "ready",
                WorkloadEvent::Notice { .. } => "custom-notice",
                WorkloadEvent::CheckFailed(_) => "check-failed",
                WorkloadEvent::CheckRecovered(_) => "check-recovered",
            };
            format!("{container}-pebble-{what}")
        }
        Event::Storage { name, kind, .. } => {
            let what = match kind {
                StorageEvent::Attached => "attached",
                StorageEvent::Detaching => "detaching",
            };
            format!("{name}-storage-{what}")
        }
        Event::Action { name, .. } | Event::Other(name) => name.clone(),
    }
}
