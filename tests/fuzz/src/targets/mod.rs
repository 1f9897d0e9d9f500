//! The targets, one file each: how to run an input, and what must hold.

mod certificate;
mod exposition;
mod heartbeat;
mod http_front;
mod join_body;
mod join_signature;
mod join_token;
mod json;
mod proxy_header;
/// The slow reader of the server's own tests.
#[path = "../../../../workload/src/remote_write/tests/reference.rs"]
mod reference;
mod remote_write;
mod tunnel_frame;
mod tunnel_path;

use crate::Target;

/// All targets.
#[must_use]
pub fn all() -> Vec<Target> {
    vec![
        join_token::target(),
        join_body::target(),
        join_signature::target(),
        certificate::target(),
        heartbeat::target(),
        exposition::target(),
        remote_write::target(),
        proxy_header::target(),
        http_front::target(),
        tunnel_frame::target(),
        tunnel_path::target(),
    ]
}

/// Fails with a text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}
use ensure;

/// A number as the length of its binary form: behaviours tell sizes apart, but not too many.
fn size(n: usize) -> u32 {
    usize::BITS - n.leading_zeros()
}
