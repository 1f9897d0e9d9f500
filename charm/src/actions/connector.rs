//! Replacing the certificate that clusters pin, in two steps.

use ops::{CharmError, Model};
use serde::Deserialize;
use serde_json::Value;

use super::program::{enrolled, fitting};
use super::{ROTATE_CONNECTOR_CERTIFICATE, only_the_leader};
use crate::addresses::Addresses;
use crate::custody::{self, Custody};
use crate::observe::Inputs;
use crate::pki::Leaf;
use crate::shared::Connector;
use crate::trace::Trace;
use crate::{Manager, apply, pinned};

#[derive(Deserialize)]
struct Rotate {
    #[serde(default)]
    confirm: bool,
    #[serde(default, rename = "new-key")]
    new_key: bool,
}

/// Two steps: the first prepares a certificate, tells its fingerprint and whom it would cut off; the second serves it. Between the
/// two an operator can tell the clusters.
pub(super) fn rotate(
    manager: &Manager,
    model: &Model<'_>,
    mut inputs: Inputs,
    trace: &mut Trace,
) -> Result<(), CharmError> {
    only_the_leader(&inputs, ROTATE_CONNECTOR_CERTIFICATE)?;
    let Rotate { confirm, new_key } = model.action_parameters()?;
    let app = inputs.app.clone();
    if custody::serves_relation(&inputs) {
        return Err(format!(
            "clusters see the certificate of the relation certificates; run: juju config {app} \
             connector-certificate=pinned"
        )
        .into());
    }
    let addresses = inputs.addresses().ok_or("the options cannot be read")?;
    let kept = inputs.shared.connector.content().cloned();
    let kept = kept.ok_or("there is no certificate that clusters could have pinned yet")?;
    let old = Leaf::parse(&kept.pair.chain).ok_or("the present certificate cannot be read")?;
    let next = match (&kept.next, confirm) {
        (None, true) => {
            return Err("nothing is prepared: run the action without confirm first".into());
        }
        (Some(next), true) => next.clone(),
        (_, false) => {
            let key = if new_key {
                manager.mint.p256_key()?
            } else {
                pinned::key_like(&kept.pair, manager.mint.as_ref())?
            };
            pinned::fresh(&inputs, &addresses, key)?
        }
    };
    let new = Leaf::parse(&next.chain).ok_or("the new certificate cannot be read")?;
    let after = pinned::replace(&kept, &next, &addresses, inputs.surroundings.now);
    let loses = pinned::loses_earlier(&kept, &after, inputs.surroundings.now);
    let effect = Effect::of(&kept, &after, &addresses, &old, loses);
    let clusters = trace.step("command", || effect.clusters(&inputs));
    let connector = if confirm { after } else { Connector { next: Some(next), ..kept.clone() } };
    let custody = Custody { connector: Some(connector), ..Custody::default() };
    apply::keep(model, &mut inputs, custody)?;
    manager.settle(model, inputs, trace)?;
    let command =
        format!("microcloud cluster-manager set certificate_fingerprint {}", new.fingerprint);
    let note = format!(
        "{}{}",
        effect.sentence(confirm),
        if confirm {
            " Join tokens for the old certificate that were not used are void: make new ones."
                .to_owned()
        } else {
            format!(
                " Nothing has changed yet. To serve the new certificate, run: juju run {app}/leader \
             {ROTATE_CONNECTOR_CERTIFICATE} confirm=true"
            )
        }
    );
    let mut results = vec![
        ("old-fingerprint", old.fingerprint.as_str()),
        ("new-fingerprint", &new.fingerprint),
        ("clusters-cut-off", &clusters.count),
        ("command-on-each-cluster", &command),
        ("note", &note),
    ];
    if !clusters.names.is_empty() {
        results.push(("clusters", &clusters.names));
    }
    Ok(model.set_action_results(&results)?)
}

/// What serving the new certificate means for enrolled clusters.
enum Effect {
    /// The old one goes on being served under these names.
    StaysFor(Vec<String>),
    /// Whoever pinned the old one is cut off.
    CutsOff {
        /// Earlier names whose clusters are not.
        but: Vec<String>,
    },
}

/// Enrolled clusters that are cut off.
struct Clusters {
    count: String,
    names: String,
}

impl Effect {
    /// `loses`: certificates of earlier names are no longer found, either.
    fn of(
        kept: &Connector,
        after: &Connector,
        addresses: &Addresses,
        old: &Leaf,
        loses: bool,
    ) -> Self {
        let public = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| *name != addresses.service).collect()
        };
        let stays = after.earlier.iter().any(|pair| pair.chain == kept.pair.chain);
        let now = addresses.connector.as_ref().map(ToString::to_string);
        // Under the present name clusters can have pinned it only if it has that name.
        let pinned_here = now.is_some_and(|name| old.names.contains(&name));
        if stays && !pinned_here && !loses {
            Self::StaysFor(public(pinned::earlier_names(after)))
        } else {
            Self::CutsOff { but: public(pinned::earlier_names(after)) }
        }
    }

    /// The clusters as far as they can be named: which of them connect under which name nobody knows.
    fn clusters(&self, inputs: &Inputs) -> Clusters {
        if matches!(self, Self::StaysFor(_)) {
            return Clusters { count: "0".to_owned(), names: String::new() };
        }
        match enrolled(inputs) {
            Ok(all) => {
                let name = |cluster: &serde_json::Map<String, Value>| {
                    cluster
                        .get("name")
                        .and_then(Value::as_str)
                        .map(|name| name.escape_debug().to_string())
                };
                let names: Vec<String> = all.iter().filter_map(name).collect();
                let shown = fitting(names.iter().map(String::as_str));
                let count = if shown == all.len() {
                    shown.to_string()
                } else {
                    format!("{}, of which {shown} are listed", all.len())
                };
                Clusters { count, names: names.get(..shown).unwrap_or_default().join("\n") }
            }
            Err(error) => Clusters { count: format!("unknown: {error}"), names: String::new() },
        }
    }

    fn sentence(&self, done: bool) -> String {
        match self {
            Self::StaysFor(names) => format!(
                "No cluster is cut off: the old certificate stays for clusters that connect to {}.",
                names.join(", ")
            ),
            Self::CutsOff { but } => {
                let will = if done { "are" } else { "will be" };
                let except = if but.is_empty() {
                    String::new()
                } else {
                    format!(", except those that connect to {}", but.join(", "))
                };
                format!(
                    "The clusters listed{except} {will} cut off until the command was run on each of them."
                )
            }
        }
    }
}
