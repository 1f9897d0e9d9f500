use salvo::http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use salvo::http::{StatusCode, Version};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};

/// Closes a connection after its answer unless the client asks to keep it (`Connection: keep-alive`).
///
/// HTTP/1.1 keeps connections by default (RFC 9112, section 9.3), but MicroCloud members never use one again and do not close it
/// either: each would stay until its idle time is over, with some 50 KB of memory. After a body in chunks the connection is closed
/// in any case: should the request have a length too, whoever stands before us may have seen its end elsewhere (RFC 9112, section
/// 6.1).
#[derive(Debug)]
pub struct CloseAfterAnswer;

#[async_trait]
impl Handler for CloseAfterAnswer {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let closes = req.version() == Version::HTTP_11
            && (req.headers().contains_key(TRANSFER_ENCODING) || !asks_to_stay(req));
        ctrl.call_next(req, depot, res).await;
        // After 101 the connection belongs to another protocol.
        if closes && res.status_code != Some(StatusCode::SWITCHING_PROTOCOLS) {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether one of the connection options is `keep-alive`; their case does not matter (RFC 9110, section 7.6.1).
fn asks_to_stay(req: &Request) -> bool {
    let values = req.headers().get_all(CONNECTION).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|o| o.trim().eq_ignore_ascii_case("keep-alive"))
}
