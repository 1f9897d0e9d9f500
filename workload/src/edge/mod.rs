//! What both services share at their edge: listeners, the answer envelope, errors, limits, headers and the request log.

mod body;
pub mod browser;
mod buffer;
mod client_certificate;
mod connection;
mod encoding;
mod envelope;
mod error;
mod framing;
mod handshakes;
mod headers;
mod idle;
mod last_answer;
mod lean;
mod listener;
mod path;
mod pieces;
pub mod proxy_protocol;
pub mod rate_limit;
mod request_log;
mod service;
mod turns;

pub use body::{Body, BodyRoom, parse_json, read_body};
pub use client_certificate::presented_certificate;
pub use connection::CloseAfterAnswer;
pub use encoding::{accepts, is_known};
pub use envelope::{EmptyObject, Redirect, Success, write_success};
pub use error::ApiError;
pub use headers::SecurityHeaders;
pub use lean::{LeanAnswers, Prepared};
pub use listener::{Limits, Listener};
pub use path::{ExactPath, cluster_name, name_at, path_for_log};
pub use pieces::{Compressed, Piece};
pub use request_log::{RequestLog, SampledLog, origin, source};
pub use service::{Reply, service};
