//! Secrets over a [`super::State`].

use std::collections::BTreeMap;

use serde_json::json;

use super::args::Args;
use super::memory::{Answer, MemoryTools};
use super::state::{SecretOwner, SecretState};
use crate::tools::Tool;

/// A write that waits for the end of the hook.
#[derive(Debug)]
pub(super) enum SecretWrite {
    Add(SecretState),
    Set(String, BTreeMap<String, String>),
    Remove(String),
}

impl SecretWrite {
    pub(super) fn apply(self, secrets: &mut Vec<SecretState>) {
        match self {
            Self::Add(secret) => secrets.push(secret),
            Self::Set(id, content) => {
                for secret in secrets.iter_mut().filter(|secret| secret.id == id) {
                    // The same content makes no new revision.
                    if secret.revisions.last() != Some(&content) {
                        secret.revisions.push(content.clone());
                    }
                }
            }
            Self::Remove(id) => secrets.retain(|secret| secret.id != id),
        }
    }
}

impl MemoryTools {
    /// The secrets with what this hook has changed: an owner sees its own pending content.
    fn secrets(&self) -> Vec<SecretState> {
        let mut secrets = self.seen.borrow().secrets.clone();
        for write in &self.pending.borrow().secrets {
            match write {
                SecretWrite::Add(secret) => secrets.push(secret.clone()),
                SecretWrite::Set(id, content) => {
                    SecretWrite::Set(id.clone(), content.clone()).apply(&mut secrets);
                }
                SecretWrite::Remove(id) => secrets.retain(|secret| secret.id != *id),
            }
        }
        secrets
    }

    pub(super) fn secret(&self, tool: Tool, args: &Args) -> Result<Answer, String> {
        let leader = self.seen.borrow().leader;
        let unit = self.seen.borrow().unit.to_string();
        let secrets = self.secrets();
        if tool == Tool::SecretAdd {
            let owner = match args.owner.as_deref() {
                Some("unit") => SecretOwner::Unit,
                _ if leader => SecretOwner::App,
                _ => return Err(format!("\"{unit}\" is not the leader")),
            };
            let label = args.label.clone();
            if label.is_some() && secrets.iter().any(|s| s.label == label && s.owner == owner) {
                return Err("secret with that label already exists".to_owned());
            }
            let id = fresh_id(&unit, secrets.len());
            let revisions = vec![content(args)?];
            let secret = SecretState { id: id.clone(), owner, label, revisions, granted: true };
            self.pending.borrow_mut().secrets.push(SecretWrite::Add(secret));
            return Ok(Answer::Text(id));
        }
        let secret = find(&secrets, args, &unit)?;
        let owned = match secret.owner {
            SecretOwner::App => leader,
            SecretOwner::Unit => true,
            SecretOwner::Other => false,
        };
        let write = |write| {
            if !owned {
                return Err("permission denied".to_owned());
            }
            self.pending.borrow_mut().secrets.push(write);
            Ok(Answer::Nothing)
        };
        match tool {
            Tool::SecretGet if secret.granted => Ok(Answer::Json(json!(secret.newest()))),
            Tool::SecretInfoGet if owned => {
                let id = secret.id.trim_start_matches("secret:");
                let info = json!({"revision": secret.revisions.len(), "label": secret.label});
                Ok(Answer::Json(json!({id: info})))
            }
            Tool::SecretSet => write(SecretWrite::Set(secret.id.clone(), content(args)?)),
            Tool::SecretRemove => write(SecretWrite::Remove(secret.id.clone())),
            _ => Err("permission denied".to_owned()),
        }
    }
}

fn find<'a>(
    secrets: &'a [SecretState],
    args: &Args,
    unit: &str,
) -> Result<&'a SecretState, String> {
    if let Some(id) = args.plain.first() {
        let bare = |id: &str| id.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
        let found = secrets.iter().find(|secret| bare(&secret.id) == bare(id));
        return found.ok_or_else(|| format!("secret \"{id}\" not found"));
    }
    let label = args.label.as_deref().ok_or("require either a secret URI or label")?;
    let found = secrets.iter().find(|secret| secret.label.as_deref() == Some(label));
    found.ok_or_else(|| format!("secret owned by \"{unit}\" with label \"{label}\" not found"))
}

/// Content comes in a file, never in arguments.
fn content(args: &Args) -> Result<BTreeMap<String, String>, String> {
    let path = args.file.as_deref().ok_or("missing secret value or filename")?;
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let content: BTreeMap<String, String> =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let good = |key: &String| {
        key.len() >= 3
            && key.starts_with(|c: char| c.is_ascii_lowercase())
            && !key.ends_with('-')
            && !key.contains("--")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    match content.keys().find(|key| !good(key)) {
        Some(key) => Err(format!("key \"{key}\" not valid")),
        None => Ok(content),
    }
}

/// An identifier of Juju's form that differs between units and over the time of a test.
fn fresh_id(unit: &str, count: usize) -> String {
    let seed = unit.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    format!("secret:d{:09x}{count:010}", seed & 0xf_ffff_ffff)
}
