//! `/1.0/audit`: who did what, for administrators.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use salvo::http::Method;
use salvo::http::body::BodySender;
use salvo::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use salvo::{Depot, Request, Response, handler};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{App, app};
use crate::domain::audit;
use crate::edge::{ApiError, Reply, Success};
use crate::error_chain::Chain;
use crate::model::{AuditFilter, AuditRecord};

/// Records on a page: by default, and at most.
const PAGE: i64 = 100;
pub(super) const MAX_PAGE: i64 = 1000;

/// A record as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct AuditView {
    id: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    actor_kind: String,
    actor: String,
    actor_name: String,
    source: String,
    event: String,
    object: String,
    outcome: String,
    request_id: String,
    #[schema(value_type = Object)]
    details: Value,
}

impl From<AuditRecord> for AuditView {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor_kind: record.actor_kind,
            actor: record.actor,
            actor_name: record.actor_name,
            source: record.source,
            event: record.event,
            object: record.object,
            outcome: record.outcome,
            request_id: record.request_id,
            details: record.details,
        }
    }
}

/// A page of records.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct PageView {
    records: Vec<AuditView>,
    /// What to give as `before` for the next page; null on the last one.
    #[schema(required)]
    next: Option<i64>,
}

/// `GET /1.0/audit`: the newest records first, by `event`, `object`, `actor`, `outcome`, `since` and `until`; `limit` and `before`
/// page through them.
#[handler]
pub(super) async fn list(req: &mut Request, depot: &mut Depot) -> Reply<Success<PageView>> {
    let filter = filter(req)?;
    let limit = number(req, "limit")?.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::BadRequest(format!("limit must be 1 to {MAX_PAGE}")));
    }
    let before = number(req, "before")?;
    // One more than is shown tells whether there is a next page.
    let mut records = audit::page(&app(depot)?.pool, &filter, before, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = records.len() > shown;
    records.truncate(shown);
    let next = records.last().map(|record| record.id).filter(|_| more);
    Ok(Success(PageView { records: records.into_iter().map(AuditView::from).collect(), next }))
}

#[derive(Clone, Copy)]
enum Format {
    JsonLines,
    Csv,
}

/// `GET /1.0/audit/export`: all records, the oldest first, by the same filters; `format` is `jsonl` or `csv`. The answer is sent
/// while it is read; one that breaks off is not complete.
#[handler]
pub(super) async fn export(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let filter = filter(req)?;
    let format = match req.query::<String>("format").as_deref() {
        None | Some("jsonl") => Format::JsonLines,
        Some("csv") => Format::Csv,
        Some(_) => return Err(ApiError::BadRequest("format must be jsonl or csv".into())),
    };
    let app = app(depot)?;
    // The first piece is read before anything is sent, so that a database that is away gets its proper answer.
    let first = audit::piece(&app.pool, &filter, 0, MAX_PAGE).await?;
    let (media_type, name) = match format {
        Format::JsonLines => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    let headers = res.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if *req.method() == Method::HEAD {
        return Ok(());
    }
    let body = res.channel();
    app.sessions.tasks.clone().spawn(send(app, filter, format, first, body));
    Ok(())
}

async fn send(
    app: Arc<App>,
    filter: AuditFilter,
    format: Format,
    mut records: Vec<AuditRecord>,
    mut body: BodySender,
) {
    let mut head = match format {
        Format::JsonLines => String::new(),
        Format::Csv => CSV_HEAD.to_owned(),
    };
    while let Some(last) = records.last().map(|record| record.id) {
        let lines = std::mem::take(&mut head) + &lines(format, records);
        if body.send_data(lines).await.is_err() {
            return; // the reader went away
        }
        records = match audit::piece(&app.pool, &filter, last, MAX_PAGE).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "an export of the audit log broke off");
                body.send_error(io::Error::other("the database is not available"));
                return;
            }
        };
    }
    if !head.is_empty() {
        drop(body.send_data(head).await);
    }
}

fn lines(format: Format, records: Vec<AuditRecord>) -> String {
    let mut text = String::new();
    for view in records.into_iter().map(AuditView::from) {
        match format {
            Format::JsonLines => {
                text.push_str(&serde_json::to_string(&view).unwrap_or_default());
                text.push('\n');
            }
            Format::Csv => csv_line(&mut text, &view),
        }
    }
    text
}

const CSV_HEAD: &str =
    "id,at,actor_kind,actor,actor_name,source,event,object,outcome,request_id,details\r\n";

/// A line as RFC 4180 has it. A field that a spreadsheet would take for a formula begins with an apostrophe.
fn csv_line(text: &mut String, view: &AuditView) {
    let at = view.at.format(&Rfc3339).unwrap_or_default();
    let details = view.details.to_string();
    let fields = [
        &at,
        &view.actor_kind,
        &view.actor,
        &view.actor_name,
        &view.source,
        &view.event,
        &view.object,
        &view.outcome,
        &view.request_id,
        &details,
    ];
    let _ = write!(text, "{}", view.id); // writing into a String cannot fail
    for field in fields {
        let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let mark = if formula { "'" } else { "" };
        let _ = write!(text, ",\"{mark}{}\"", field.replace('"', "\"\""));
    }
    text.push_str("\r\n");
}

fn filter(req: &Request) -> Result<AuditFilter, ApiError> {
    let text = |name: &str| -> Result<Option<String>, ApiError> {
        let value = req.query::<String>(name).filter(|value| !value.is_empty());
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(ApiError::BadRequest(format!("{name} must not have a NUL character")));
        }
        Ok(value)
    };
    let time = |name: &str| -> Result<Option<OffsetDateTime>, ApiError> {
        let parsed = text(name)?.map(|value| OffsetDateTime::parse(&value, &Rfc3339)).transpose();
        parsed.map_err(|_| {
            ApiError::BadRequest(format!(
                "{name} must be an RFC 3339 time such as 2026-11-30T18:00:00Z"
            ))
        })
    };
    let outcome = text("outcome")?;
    if !matches!(outcome.as_deref(), None | Some("success" | "refused" | "failed")) {
        return Err(ApiError::BadRequest("outcome must be success, refused or failed".into()));
    }
    Ok(AuditFilter {
        event: text("event")?,
        object: text("object")?,
        actor: text("actor")?,
        outcome,
        since: time("since")?,
        until: time("until")?,
    })
}

fn number(req: &Request, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = req.query::<String>(name) else { return Ok(None) };
    let number =
        text.parse().map_err(|_| ApiError::BadRequest(format!("{name} must be a whole number")))?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn aud_04_an_exported_field_is_neither_a_formula_nor_a_second_field() {
        let view = AuditView {
            id: 7,
            at: datetime!(2026-11-22 12:00 UTC),
            actor_kind: "operator".into(),
            actor: "=cmd".into(),
            actor_name: "A \"B\", C".into(),
            source: "::1".into(),
            event: "login".into(),
            object: "-1".into(),
            outcome: "success".into(),
            request_id: String::new(),
            details: json!({"a": "b\nc"}),
        };
        let mut line = String::new();
        csv_line(&mut line, &view);
        let expected = "7,\"2026-11-22T12:00:00Z\",\"operator\",\"'=cmd\",\"A \"\"B\"\", C\",\"::1\",\"login\",\"'-1\",\
                        \"success\",\"\",\"{\"\"a\"\":\"\"b\\nc\"\"}\"\r\n";
        assert_eq!(line, expected);
    }
}
