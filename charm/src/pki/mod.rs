//! Keys and certificates: making them, and reading what they say. No I/O, no Juju.

mod mint;
mod read;

pub use mint::{Mint, PkiError, RealMint, connector_certificate, signing_request};
pub use read::{Leaf, certificates, chain_of, fingerprint, is_p256, public_key_of, request_names};
