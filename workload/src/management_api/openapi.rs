//! The operations of the Management API, and `GET /1.0/openapi.json`.

mod without_login;

use std::sync::Arc;

use salvo::{Depot, Request, Response, handler};
use serde_json::{Value, json};

use super::{
    app, audit, clusters, configuration, fleet, history, join_tokens, login_check, server, sessions,
};
use crate::domain::fleet::{CompactRow, CompactValues, Query, Summary};
use crate::domain::freshness::Freshness;
use crate::domain::warnings;
use crate::edge::{ApiError, EmptyObject};
use crate::openapi::{Needs, Operation};

const VIEWER: Needs = Needs::Role("viewer");
const OPERATOR: Needs = Needs::Role("operator");
const ADMIN: Needs = Needs::Role("admin");

/// `GET /1.0/openapi.json`: the description of all this. Not in the envelope: programs that read such documents expect none.
#[handler]
pub(super) async fn get(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
) -> Result<(), ApiError> {
    let app = app(depot)?;
    Arc::clone(&app.openapi).answer(req, res).await;
    Ok(())
}

/// An operation for people who are logged in.
fn own(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    needs: Needs,
    summary: &'static str,
) -> Operation {
    let operation = Operation::new(method, path, id, needs, summary).tags(&["management"]);
    operation.refuses(&[401, 403, 421, 500, 503])
}

/// An operation that anybody may use.
fn open(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(method, path, id, Needs::Nothing, summary)
}

/// All operations.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [
        general(),
        of_clusters(),
        of_tokens(),
        of_fleet(),
        of_tunnels(),
        of_people(),
        of_audit(),
        without_login::operations(),
    ]
    .concat()
}

fn general() -> Vec<Operation> {
    let any = json!({ "type": "object" });
    vec![
        own("GET", "/1.0", "getServer", Needs::Session, "Who is logged in")
            .gives::<server::ServerView>("The person"),
        open("GET", "/1.0/status", "getServiceStatus", "The service and its database are reachable")
            .tags(&["management", "connector"])
            .gives_null("Both are")
            .refuses(&[429, 500, 503]),
        own("GET", "/1.0/configuration", "getConfiguration", VIEWER, "The settings in force, secrets masked")
            .gives_schema(&configuration::schema(), "The settings, in the order in which they are shown"),
        own("GET", "/1.0/login-check", "checkLogin", ADMIN, "Tries the login with the identity provider and says what is wrong")
            .gives::<login_check::LoginCheckView>("What came of each step"),
        own("GET", "/1.0/openapi.json", "getDescription", VIEWER, "This document")
            .with_tag()
            .answers(200, &json!({
                "description": "An OpenAPI 3.1 document", "content": { "application/json": { "schema": any } },
            })),
    ]
}

fn of_clusters() -> Vec<Operation> {
    vec![
        chosen(
            own("GET", "/1.0/remote-cluster", "listRemoteClusters", VIEWER,
                "Clusters with all their data, without parameters all of them in the byte order of their names"),
            &clusters::ClusterView::KEYS,
        )
        .with_tag()
        .gives_list::<clusters::ClusterView>("The clusters; with `fields` only these keys"),
        own("GET", "/1.0/remote-cluster/{name}", "getRemoteCluster", VIEWER, "One cluster")
            .named()
            .gives::<clusters::ClusterView>("The cluster"),
        own("PATCH", "/1.0/remote-cluster/{name}", "patchRemoteCluster", OPERATOR,
            "Changes description, thresholds and link; what is absent or null stays")
            .named()
            .takes::<clusters::ChangeBody>()
            .gives::<EmptyObject>("It is changed"),
        own("DELETE", "/1.0/remote-cluster/{name}", "deleteRemoteCluster", ADMIN,
            "Removes a cluster from the manager: its certificate stops working at once")
            .named()
            .gives::<EmptyObject>("It is removed"),
    ]
}

fn of_tokens() -> Vec<Operation> {
    const TOKENS: &str = "/1.0/remote-cluster-join-token";
    vec![
        own(
            "GET",
            TOKENS,
            "listJoinTokens",
            VIEWER,
            "Tokens that nobody used yet, the oldest first",
        )
        .gives_list::<join_tokens::JoinTokenView>("The tokens, never their texts"),
        own(
            "POST",
            TOKENS,
            "createJoinToken",
            OPERATOR,
            "Creates a token for one cluster; its text is shown once",
        )
        .takes::<join_tokens::NewTokenBody>()
        .gives::<join_tokens::NewTokenView>("The token")
        .refuses(&[409]),
        own(
            "DELETE",
            "/1.0/remote-cluster-join-token/{name}",
            "deleteJoinToken",
            OPERATOR,
            "Revokes the pending token of a cluster",
        )
        .named()
        .gives_null("It is revoked"),
        own(
            "POST",
            "/1.0/remote-cluster/{name}/rotation-token",
            "createRotationToken",
            ADMIN,
            "Creates a token with which an enrolled cluster joins again, with another certificate; all else about it stays",
        )
        .named()
        .takes::<join_tokens::RotationBody>()
        .gives::<join_tokens::NewTokenView>("The token")
        .refuses(&[409]),
    ]
}

fn of_fleet() -> Vec<Operation> {
    let within = |operation: Operation| {
        let time =
            json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "maxLength": 0 }] });
        operation
            .query("from", &time, "Beginning; without it 24 hours before the end")
            .query("to", &time, "End; without it now")
            .with_tag()
    };
    let events = json!({
        "description": "Events called `fleet`: `data` has the `clusters` that were added, removed or changed (null: load \
            everything again) and whether the list of join `tokens` changed. One a second at most.",
        "content": { "text/event-stream": { "schema": { "type": "string" } } },
    });
    vec![
        chosen(
            own("GET", "/1.0/fleet/clusters", "listFleet", VIEWER, "Clusters in few figures"),
            &CompactRow::KEYS,
        )
        .query(
            "rows",
            &json!({ "type": "string", "enum": ["objects", "values"] }),
            "`values`: each cluster as the list of its values, in the order of `CompactRow`'s keys or of `fields`",
        )
        .with_tag()
        .gives_list_of_either::<CompactRow, CompactValues>("The clusters; with `fields` only these keys"),
        own("GET", "/1.0/fleet/summary", "getFleetSummary", VIEWER, "The fleet in few numbers")
            .with_tag()
            .gives::<Summary>("The numbers"),
        within(own(
            "GET",
            "/1.0/fleet/history",
            "getFleetHistory",
            VIEWER,
            "The history of the fleet",
        ))
        .gives::<fleet::FleetHistoryView>("At most 500 points"),
        within(own(
            "GET",
            "/1.0/fleet/history/{name}",
            "getClusterHistory",
            VIEWER,
            "The history of a cluster",
        ))
        .named()
        .gives::<history::HistoryView>("At most 500 points"),
        own(
            "POST",
            "/1.0/fleet/actions",
            "actOnClusters",
            OPERATOR,
            "Does the same to many clusters",
        )
        .takes::<fleet::ActionsBody>()
        .gives::<fleet::ActionsView>("What came of it for each cluster"),
        own(
            "GET",
            "/1.0/fleet/events",
            "followFleet",
            VIEWER,
            "What changes, as it happens (server-sent events)",
        )
        .header("Last-Event-ID", &json!({ "type": "string" }), "The last event that was received")
        .answers(200, &events),
        chosen(
            own("GET", "/1.0/warnings", "listWarnings", VIEWER, "The warnings of all clusters"),
            &[],
        )
        .with_tag()
        .gives_list::<fleet::WarningView>("The warnings, cluster by cluster"),
    ]
}

fn of_tunnels() -> Vec<Operation> {
    const METHODS: [(&str, &str); 5] = [
        ("GET", "tunnelGet"),
        ("POST", "tunnelPost"),
        ("PUT", "tunnelPut"),
        ("PATCH", "tunnelPatch"),
        ("DELETE", "tunnelDelete"),
    ];
    let path = json!({
        "name": "path", "in": "path", "required": true, "schema": { "type": "string" },
        "description": "Path in the cluster's LXD, may have `/`: `1.0`, or it begins with `1.0/`. The query goes along",
    });
    let file = json!({ "schema": { "type": "string", "format": "binary" } });
    let answer = json!({
        "description": "Status and body of the cluster's LXD: JSON as it is, anything else as a file to save",
        "headers": { "X-Answered-By": {
            "description": "Tells the cluster's answers from ours", "schema": { "type": "string", "enum": ["cluster"] },
        } },
        "content": { "application/json": { "schema": {} }, "application/octet-stream": file },
    });
    METHODS
        .map(|(method, id)| {
            let operation = own(
                method,
                "/1.0/remote-cluster/{name}/tunnel/{path}",
                id,
                OPERATOR,
                "Sends a request to the cluster's LXD through its tunnel",
            );
            let operation = operation
                .named()
                .parameter(&path)
                .header(
                    "X-Requested-With",
                    &json!({ "type": "string" }),
                    "Anything, from programs that are no browser: what a link or a form sends is refused",
                )
                .refuses(&[408, 413, 429, 502, 504]);
            // What LXD reads of a body of DELETE and GET is nothing.
            let operation = if matches!(method, "POST" | "PUT" | "PATCH") {
                operation.takes_anything()
            } else {
                operation
            };
            operation.otherwise(&answer)
        })
        .into()
}

fn of_people() -> Vec<Operation> {
    let part = |name: &str, schema: &Value, description: &str| json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": description });
    let session =
        |name| part(name, &json!({ "type": "string", "format": "uuid" }), "Id of a session");
    let person = part("id", &json!({ "type": "integer", "format": "int64" }), "Id of a person");
    vec![
        own(
            "GET",
            "/1.0/sessions",
            "listOwnSessions",
            VIEWER,
            "One's own sessions, the newest first",
        )
        .gives_list::<sessions::SessionView>("The sessions"),
        own(
            "DELETE",
            "/1.0/sessions",
            "endOwnSessions",
            VIEWER,
            "Ends all of one's own sessions, this one included",
        )
        .gives::<sessions::EndedView>("How many ended"),
        own(
            "DELETE",
            "/1.0/sessions/{id}",
            "endOwnSession",
            VIEWER,
            "Ends one of one's own sessions",
        )
        .parameter(&session("id"))
        .gives::<EmptyObject>("It has ended")
        .refuses(&[404]),
        own(
            "GET",
            "/1.0/identities",
            "listIdentities",
            ADMIN,
            "Who has logged in, the last one first, at most 1,000",
        )
        .gives_list::<sessions::IdentityView>("The people"),
        own(
            "GET",
            "/1.0/identities/{id}/sessions",
            "listSessionsOf",
            ADMIN,
            "The sessions of a person, the newest first",
        )
        .parameter(&person)
        .gives_list::<sessions::SessionView>("The sessions")
        .refuses(&[404]),
        own(
            "DELETE",
            "/1.0/identities/{id}/sessions",
            "endSessionsOf",
            ADMIN,
            "Ends all sessions of a person",
        )
        .parameter(&person)
        .gives::<sessions::EndedView>("How many ended")
        .refuses(&[404]),
        own(
            "DELETE",
            "/1.0/identities/{id}/sessions/{session}",
            "endSessionOf",
            ADMIN,
            "Ends one session of a person",
        )
        .parameter(&person)
        .parameter(&session("session"))
        .gives::<EmptyObject>("It has ended")
        .refuses(&[404]),
    ]
}

fn of_audit() -> Vec<Operation> {
    let filtered = |operation: Operation| {
        let text = json!({ "type": "string" });
        let outcomes = json!({ "type": "string", "enum": ["", "success", "refused", "failed"] });
        let time =
            json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "maxLength": 0 }] });
        operation
            .query("event", &text, "Exactly this event")
            .query("object", &text, "Exactly this object, such as the name of a cluster")
            .query("actor", &text, "Exactly this actor")
            .query("outcome", &outcomes, "Exactly this outcome")
            .query("since", &time, "At this time or later")
            .query("until", &time, "Before this time")
    };
    let lines = json!({
        "description": "All records, the oldest first: a line each",
        "content": {
            "application/jsonl": { "schema": { "type": "string" } },
            "text/csv": { "schema": { "type": "string" } },
        },
    });
    let formats = json!({ "type": "string", "enum": ["jsonl", "csv"], "default": "jsonl" });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": audit::MAX_PAGE });
    let id = json!({ "type": "integer", "format": "int64" });
    vec![
        filtered(own(
            "GET",
            "/1.0/audit",
            "listAuditRecords",
            ADMIN,
            "Who did what, the newest first",
        ))
        .query("limit", &limit, "Most records; without it 100")
        .query("before", &id, "`next` of the page before")
        .gives::<audit::PageView>("A page of records"),
        filtered(own(
            "GET",
            "/1.0/audit/export",
            "exportAuditRecords",
            ADMIN,
            "All records as a file",
        ))
        .query("format", &formats, "Form of the file")
        .answers(200, &lines),
    ]
}

/// Which clusters, in which order, and which part of them.
fn chosen(operation: Operation, keys: &[&str]) -> Operation {
    let text = json!({ "type": "string" });
    let list = |words: &[&str]| {
        let word = format!("({})", words.join("|"));
        json!({ "type": "string", "pattern": format!("^({word}(,{word})*)?$") })
    };
    let orders: Vec<String> =
        Query::ORDERS.iter().flat_map(|key| [(*key).to_owned(), format!("-{key}")]).collect();
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 10_000 });
    let states = Freshness::ALL.map(Freshness::as_str);
    let operation = operation
        .query("filter", &text, "Text in the name or the description, in any case")
        .query("state", &list(&states), "States, separated by commas")
        .query("warning", &list(&warnings::KINDS), "Kinds of warnings, separated by commas")
        .query(
            "sort",
            &json!({ "type": "string", "enum": orders }),
            "What to sort by, with `-` before it in descending order; without it by name",
        )
        .query("limit", &limit, "Most clusters")
        .query("after", &text, "Name of the last cluster of the page before");
    if keys.is_empty() {
        return operation;
    }
    operation.query(
        "fields",
        &list(keys),
        "Keys that the clusters should have, separated by commas",
    )
}
