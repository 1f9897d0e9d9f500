//! What nobody needs to be logged in for: the probe, the web UI, and the way to the identity provider and back.

use serde_json::{Value, json};

use super::open;
use crate::edge::EmptyObject;
use crate::management_api::back_channel;
use crate::openapi::Operation;

pub(super) fn operations() -> Vec<Operation> {
    let redirect = |description: &str| -> Value {
        json!({ "description": description, "headers": { "Location": { "schema": { "type": "string" } } } })
    };
    let to_ui = json!({
        "description": "To the web UI",
        "headers": { "Location": { "schema": { "type": "string", "enum": ["/ui/"] } } },
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Envelope" } } },
    });
    let file = json!({
        "description": "The file; the single page where there is none",
        "content": {
            "text/html": { "schema": { "type": "string" } },
            "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
        },
    });
    let text = json!({ "type": "string" });
    let tail = json!({
        "name": "path", "in": "path", "required": true, "schema": text, "description": "Rest of the path, may have `/`",
    });
    let answers = |answers: &str| json!({ "description": answers });
    vec![
        open("GET", "/status", "probeStatus", "Probe, over plain HTTP on the status port of either service")
            .tags(&["probe"])
            .answers(200, &answers("The database answers"))
            .answers(500, &answers("The database does not answer")),
        open("GET", "/", "getRoot", "To the web UI; on the Cluster Connector the versions of the API")
            .tags(&["management", "connector"])
            .gives_schema(&json!({ "type": "array", "items": text, "minItems": 1 }), "Versions (Cluster Connector)")
            .answers(308, &to_ui)
            .refuses(&[403, 421, 429]),
        open("GET", "/ui", "getUi", "To the web UI").tags(&["ui"]).answers(308, &to_ui).refuses(&[421]),
        open("GET", "/ui/{path}", "getUiFile", "A file of the web UI")
            .parameter(&tail)
            .tags(&["ui"])
            .answers(200, &file)
            .answers(301, &redirect("To the page without its file name"))
            .answers(304, &json!({ "description": "Unchanged" }))
            .refuses(&[400, 403, 404, 421]),
        open("GET", "/oidc/login", "oidcLogin", "Begins a login at the identity provider")
            .query("next", &text, "Where to go afterwards, below `/ui/`")
            .tags(&["oidc"])
            .answers(302, &redirect("To the identity provider; sets a cookie for this login"))
            .answers(303, &redirect("Back to the login page with the reason"))
            .refuses(&[403, 421, 429, 500, 503]),
        open("GET", "/oidc/callback", "oidcCallback", "Where the identity provider sends the browser back to")
            .query("state", &text, "Which login it is")
            .query("code", &text, "What the provider gives for a session")
            .query("error", &text, "Why the provider refuses")
            .query("error_description", &text, "The same for people; not used")
            .tags(&["oidc"])
            .answers(303, &redirect("Logged in, or back to the login page with the reason"))
            .refuses(&[400, 401, 403, 421, 429, 500, 503]),
        open(
            "POST",
            "/oidc/backchannel-logout",
            "oidcBackChannelLogout",
            "The identity provider says that a session there has ended",
        )
        .tags(&["oidc"])
        .takes_form::<back_channel::Form>()
        .gives::<EmptyObject>("The sessions that belong to it have ended")
        .refuses(&[421, 429, 500, 503]),
        open("GET", "/oidc/logout", "oidcLogout", "Ends the session")
            .tags(&["oidc"])
            .answers(302, &redirect("To the login page"))
            .refuses(&[403, 421, 500, 503]),
        open("POST", "/oidc/logout", "oidcLogoutByScript", "Ends the session and says where to go")
            .tags(&["oidc"])
            .gives_schema(
                &json!({ "type": "object", "required": ["redirect"], "properties": { "redirect": text } }),
                "The identity provider's logout page, or ours",
            )
            .refuses(&[403, 415, 421, 500, 503]),
    ]
}
