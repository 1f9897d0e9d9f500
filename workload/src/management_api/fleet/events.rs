//! `GET /1.0/fleet/events`: what changes, as it happens (Server-sent events, HTML Living Standard, section 9.2).

use std::time::Duration;

use salvo::http::body::BodySender;
use salvo::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use salvo::http::{Method, ResBody, StatusCode};
use salvo::{Depot, Request, Response, handler};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::super::app;
use crate::domain::fleet::{FleetEvent, Subscription};
use crate::edge::ApiError;

/// A comment so often keeps the connection alive and tells when the browser is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long an answer lasts. The browser comes back by itself, with its session or without: what the session may see is looked at
/// again.
const LIFE: Duration = Duration::from_mins(5);
/// What the browser waits before it comes back, in milliseconds.
const BEGIN: &str = "retry: 2000\n: connected\n\n";

#[derive(Serialize)]
struct EventView {
    /// `null`: everything may have changed.
    clusters: Option<Vec<String>>,
    tokens: bool,
}

/// `GET /1.0/fleet/events`: an answer that goes on. With `Last-Event-ID` it begins with what was missed.
#[handler]
pub(super) async fn follow(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
) -> Result<(), ApiError> {
    let app = app(depot)?;
    let last = req.header::<u64>("last-event-id");
    let headers = res.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    res.status_code(StatusCode::OK);
    if *req.method() == Method::GET {
        let (sender, body) = ResBody::channel();
        res.replace_body(body);
        tokio::spawn(send(sender, app.fleet.follow(last), app.fleet.stopping()));
    }
    Ok(())
}

/// Sends events until the browser is gone, the answer's time is over, or the service stops.
async fn send(mut body: BodySender, mut events: Subscription, stop: CancellationToken) {
    let send = async {
        let mut text = BEGIN.to_owned();
        while body.send_data(text).await.is_ok() {
            text = match tokio::time::timeout(SIGN_OF_LIFE, events.next()).await {
                Ok(Some(event)) => written(event),
                Ok(None) => return,
                Err(_) => ":\n\n".to_owned(),
            };
        }
    };
    let send = tokio::time::timeout(LIFE, send);
    // However it ends, the browser comes back if it wants more.
    let _ = stop.run_until_cancelled(send).await;
}

fn written(FleetEvent { id, clusters, tokens }: FleetEvent) -> String {
    let view = EventView { clusters, tokens };
    let data = serde_json::to_string(&view).unwrap_or_else(|_| "{}".to_owned());
    format!("event: fleet\nid: {id}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_block_whatever_the_names_are() {
        let event = |clusters| FleetEvent { id: 7, clusters, tokens: false };
        assert_eq!(
            written(event(Some(vec!["lyon\n\ndata: x".into()]))),
            "event: fleet\nid: 7\ndata: {\"clusters\":[\"lyon\\n\\ndata: x\"],\"tokens\":false}\n\n"
        );
        assert_eq!(
            written(event(None)),
            "event: fleet\nid: 7\ndata: {\"clusters\":null,\"tokens\":false}\n\n"
        );
    }
}
