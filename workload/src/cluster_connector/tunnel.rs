//! `GET /1.0/remote-cluster/ws`: a cluster opens its reverse tunnel.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use salvo::http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use salvo::http::{ResBody, StatusCode};
use salvo::hyper::upgrade::OnUpgrade;
use salvo::rt::tokio::TokioIo;
use salvo::{ConnCtrl, Depot, Request, Response, handler};

use super::handlers::{app, required_certificate};
use crate::domain::clusters;
use crate::edge::{self, ApiError, Reply};
use crate::error_chain::Chain;

/// A cluster opens its tunnel. Who it is, is decided before anything is upgraded; only browsers send `Origin`, and no browser
/// belongs here.
#[handler]
pub(super) async fn open(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let app = app(depot)?;
    let fingerprint = required_certificate(req)?;
    if req.headers().contains_key(ORIGIN) {
        return Err(ApiError::Forbidden("Forbidden"));
    }
    if !app.tunnels.is_authorised(fingerprint).await? {
        return Err(clusters::refusal(&app.pool, fingerprint).await?.into());
    }
    let no_handshake = || {
        ApiError::BadRequest("this is no web socket handshake of version 13 over HTTP/1.1".into())
    };
    let accept = accept(req.headers()).ok_or_else(no_handshake)?;
    let full = ApiError::Unavailable("this unit holds too many tunnels, try again later", None);
    let room = app.tunnels.tunnels().room().ok_or(full)?;
    let upgrade = req.extensions_mut().remove::<OnUpgrade>().ok_or_else(no_handshake)?;
    if let Some(connection) = req.extensions().get::<ConnCtrl>() {
        connection.relax_timeouts(); // a tunnel is silent for long; it has time limits of its own
    }
    let (keeper, origin) = (app.tunnels.clone(), edge::origin(req, depot));
    app.tasks.spawn(async move {
        match upgrade.await {
            Ok(stream) => keeper.serve(fingerprint, &origin, TokioIo::new(stream)).await,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "a cluster left before its tunnel was open");
            }
        }
        drop(room);
    });
    res.status_code(StatusCode::SWITCHING_PROTOCOLS);
    let headers = res.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    res.replace_body(ResBody::None);
    Ok(())
}

/// The answer to a client's handshake (RFC 6455, section 4.2), `None` when it is none.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // section 1.3
    let has_token = |name: HeaderName, token: &str| {
        let values = headers.get_all(name);
        let mut tokens =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        tokens.any(|given| given.trim().eq_ignore_ascii_case(token))
    };
    let version_is_known =
        headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    if !has_token(CONNECTION, "upgrade") || !has_token(UPGRADE, "websocket") || !version_is_known {
        return None;
    }
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?.trim();
    if STANDARD.decode(key).ok()?.len() != 16 {
        return None;
    }
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    HeaderValue::try_from(STANDARD.encode(hash)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(changes: &[(&'static str, Option<&'static str>)]) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in changes {
            match value {
                Some(value) => headers.insert(*name, HeaderValue::from_static(value)),
                None => headers.remove(*name),
            };
        }
        accept(&headers)
    }

    #[test]
    fn the_handshake_of_the_standard_is_answered_as_the_standard_says() {
        // RFC 6455, section 1.3.
        assert_eq!(handshake(&[]).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(handshake(&[("connection", Some("keep-alive, UPGRADE"))]).is_some());
        for change in [
            ("connection", None),
            ("connection", Some("keep-alive")),
            ("upgrade", None),
            ("upgrade", Some("h2c")),
            ("sec-websocket-version", None),
            ("sec-websocket-version", Some("8")),
            ("sec-websocket-key", None),
            ("sec-websocket-key", Some("c2hvcnQ=")),
            ("sec-websocket-key", Some("%%%")),
        ] {
            assert!(handshake(&[change]).is_none(), "{change:?}");
        }
    }
}
