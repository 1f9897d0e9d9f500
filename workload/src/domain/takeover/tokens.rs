//! Which join tokens are taken over.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::plan::{Circumstances, Here, MAX_NAME_BYTES, NewToken, Plan, folded, moment};
use super::report::{Item, Kind, Outcome};
use crate::model::{Fingerprint, ImportedToken};
use crate::store::takeover::SourceToken;

/// What the earlier product writes for "never ends".
const NEVER: OffsetDateTime = datetime!(3000-01-01 0:00 UTC);
/// Expired tokens are kept for so long, so that operators see what became of them.
const KEPT: Duration = Duration::days(7);

/// Plans for the rows that were not dealt with before.
pub(super) fn plan(
    plan: &mut Plan,
    rows: Vec<SourceToken>,
    here: &Here,
    circumstances: &Circumstances,
    now: OffsetDateTime,
) {
    let mut pending = here.pending.clone();
    let mut rows: Vec<Row> = rows.into_iter().map(|row| Row::new(row, now)).collect();
    // Of tokens whose names cannot be told apart only one can wait: one that still works, and the newest.
    rows.sort_by_key(|row| {
        (row.expires_at <= now, Reverse(row.created_at), Reverse(row.source.id))
    });
    let mut newest: Option<(OffsetDateTime, Fingerprint)> = None;
    let first = plan.report.items.len();
    for row in rows {
        if let Ok(token) = &row.token
            && newest.is_none_or(|(at, _)| row.created_at > at)
        {
            newest = Some((row.created_at, token.pin));
        }
        row.decide(plan, &mut pending, circumstances, now);
    }
    if let Some(items) = plan.report.items.get_mut(first..) {
        items.sort_by_key(|item| item.source_id);
    }
    let pins = &circumstances.connector_pins;
    let Some((_, pin)) = newest.filter(|(_, pin)| !pins.contains(pin)) else { return };
    let presented = match pins.first() {
        Some(own) => format!("the Cluster Connector presents {own}"),
        None => "the Cluster Connector has no certificate yet".into(),
    };
    plan.report.warnings.push(format!(
        "the earlier tokens name the certificate {pin}, and {presented}: clusters that pinned the earlier one stay away until \
         CLUSTER_CONNECTOR_TLS_PATH leads to the earlier tls.crt and tls.key"
    ));
}

/// A token with what can be said about it alone.
struct Row {
    source: SourceToken,
    token: Result<ImportedToken, String>,
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
}

impl Row {
    fn new(mut source: SourceToken, now: OffsetDateTime) -> Self {
        let token = match source.encoded_token.take() {
            None => Err("it was made before March 2025, without a text that could be used".into()),
            Some(_) if source.cluster_name.len() > MAX_NAME_BYTES => {
                Err(format!("its name has more than {MAX_NAME_BYTES} bytes"))
            }
            Some(text) => {
                ImportedToken::parse(text, &source.cluster_name).map_err(|error| error.to_string())
            }
        };
        let expiry = source.expiry.as_deref();
        let before_all_time =
            expiry.is_some_and(|text| text.starts_with('-') || text.ends_with("BC"));
        let fallback = if before_all_time { OffsetDateTime::UNIX_EPOCH } else { NEVER };
        Self {
            token,
            expires_at: moment(expiry).unwrap_or(fallback),
            created_at: moment(source.created_at.as_deref()).unwrap_or(now).min(now),
            source,
        }
    }

    fn decide(
        self,
        plan: &mut Plan,
        pending: &mut BTreeSet<String>,
        circumstances: &Circumstances,
        now: OffsetDateTime,
    ) {
        let Self { source, token, expires_at, created_at } = self;
        let mut item = Item {
            kind: Kind::Token,
            source_id: source.id,
            name: source.cluster_name.clone(),
            outcome: Outcome::Refused,
            reason: None,
            repairs: Vec::new(),
            notes: Vec::new(),
        };
        let expired = expires_at <= now;
        if expired {
            // Nothing is lost with it, whatever else is wrong.
            item.outcome = Outcome::Left;
        }
        match token {
            _ if expires_at <= now - KEPT => {
                item.reason = Some("it expired over a week ago".into());
            }
            Err(reason) => item.reason = Some(reason),
            Ok(_) if !pending.insert(folded(&source.cluster_name)) => {
                item.reason = Some(
                    "another token waits for a name that differs in case or in '-' and '_' only"
                        .into(),
                );
            }
            Ok(token) => {
                item.outcome = Outcome::Copied;
                if expired {
                    item.notes.push("it has expired".into());
                } else if !circumstances.connector_pins.is_empty()
                    && !circumstances.connector_pins.contains(&token.pin)
                {
                    item.notes.push(
                        "it names another certificate than the Cluster Connector presents: whoever has it cannot join with it"
                            .into(),
                    );
                }
                plan.tokens.push(NewToken { source, token, expires_at, created_at });
            }
        }
        plan.add(item);
    }
}
