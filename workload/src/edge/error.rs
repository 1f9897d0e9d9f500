use std::error::Error as StdError;
use std::time::Duration;

use salvo::http::StatusCode;
use salvo::http::header::{HeaderValue, RETRY_AFTER};
use salvo::{Depot, Request, Response, Writer, async_trait};

use super::envelope;
use super::rate_limit::Refused;
use crate::domain;
use crate::error_chain::Chain;

/// Every way a request can fail, in the words that the caller reads. What lies behind it goes to the log only.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the input is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no valid session.
    #[error("Unauthorized")]
    Unauthorized,
    /// 403: not allowed.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 404: no such thing.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path exists, the method does not. The router adds `Allow`.
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    #[error("the request did not arrive in time")]
    RequestTimeout,
    /// 409: it exists already.
    #[error("{0}")]
    Conflict(&'static str),
    /// 413: the body is longer than so many bytes.
    #[error("the request body must have at most {0} bytes")]
    PayloadTooLarge(usize),
    /// 415: a body of a kind that is not accepted.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// 421: the request is for another host.
    #[error("this host name is not served here")]
    MisdirectedRequest,
    /// 429: too often; there is a token again after so long.
    #[error("too many requests, try again later")]
    TooManyRequests(Duration),
    /// 500: our own defect.
    #[error("Internal Server Error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
    /// 502: who should have answered for us did not, or with something that cannot be used.
    #[error("{0}")]
    BadGateway(&'static str),
    /// 503: something we need is away.
    #[error("{0}")]
    Unavailable(&'static str, #[source] Option<Box<dyn StdError + Send + Sync>>),
    /// 504: who should have answered for us took too long.
    #[error("{0}")]
    GatewayTimeout(&'static str),
}

impl ApiError {
    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Unavailable(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The answer to a path that does not exist.
    #[must_use]
    pub fn unknown_path() -> Self {
        Self::NotFound("Not Found".into())
    }

    /// Writes a log line about something that failed within a request that did not.
    pub fn log(&self, doing: &str) {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = %Chain(self), status = status.as_u16(), "{doing} failed");
        }
    }

    /// Writes the answer and, for what is not the caller's fault, a log line.
    pub fn respond(&self, req: &Request, res: &mut Response) {
        let status = self.status();
        let (method, path) = (req.method(), super::path::for_log(req.uri().path()));
        let theirs = matches!(self, Self::BadGateway(_) | Self::GatewayTimeout(_));
        if status.is_server_error() && !theirs {
            tracing::error!(error = %Chain(self), status = status.as_u16(), "{method} {path} failed");
        } else {
            tracing::debug!(error = %self, status = status.as_u16(), "{method} {path} refused");
        }
        envelope::error(res, status, &self.to_string());
        let retry_after = match self {
            Self::Unavailable(..) => HeaderValue::from_static("5"),
            Self::TooManyRequests(wait) => HeaderValue::from(whole_seconds(*wait)),
            _ => return,
        };
        res.headers_mut().insert(RETRY_AFTER, retry_after);
    }
}

/// The whole seconds after which `wait` is over, at least one.
fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

#[async_trait]
impl Writer for ApiError {
    async fn write(self, req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        self.respond(req, res);
    }
}

impl From<domain::Error> for ApiError {
    fn from(error: domain::Error) -> Self {
        match error {
            domain::Error::Invalid(text) => Self::BadRequest(text),
            domain::Error::Forbidden(text) => Self::Forbidden(text),
            domain::Error::NotFound(text) => Self::NotFound(text),
            domain::Error::Conflict(text) => Self::Conflict(text),
            domain::Error::Store(source) if source.is_transient() => Self::Unavailable(
                "the database is not available, try again later",
                Some(source.into()),
            ),
            domain::Error::Store(source) => Self::Internal(source.into()),
            domain::Error::Unavailable(text) => Self::Unavailable(text, None),
            domain::Error::Overloaded(reason) => {
                Self::Unavailable("the service is busy, try again later", Some(reason.into()))
            }
            domain::Error::Defect(text) => Self::Internal(text.into()),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(Refused(wait): Refused) -> Self {
        Self::TooManyRequests(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_06_a_refusal_names_the_whole_seconds_after_which_it_is_over() {
        for (wait_ms, seconds) in
            [(0, "1"), (1, "1"), (999, "1"), (1000, "1"), (1001, "2"), (59_500, "60")]
        {
            let mut res = Response::new();
            let error = ApiError::from(Refused(Duration::from_millis(wait_ms)));
            error.respond(&Request::new(), &mut res);
            assert_eq!(res.status_code, Some(StatusCode::TOO_MANY_REQUESTS));
            assert_eq!(res.headers()[RETRY_AFTER], seconds, "{wait_ms} ms");
        }
    }
}
