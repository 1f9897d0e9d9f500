//! What can go wrong with Pebble.

use std::io;

/// Pebble did not do what it was asked for. Texts never quote file content.
#[derive(Debug, thiserror::Error)]
pub enum PebbleError {
    /// The container is not up, or went away meanwhile.
    #[error("the container is not ready")]
    NotReady(#[source] io::Error),
    /// The answer is no answer of Pebble.
    #[error("Pebble gave an answer of an unexpected form")]
    Answer,
    /// Pebble refused.
    #[error("Pebble refused: {message}")]
    Api {
        /// HTTP status.
        status: u16,
        /// Kind of error, for example `not-found`; often empty.
        kind: String,
        /// Pebble's words.
        message: String,
    },
    /// Something that takes time went wrong.
    #[error("a change in the container failed: {reason}")]
    Change {
        /// Pebble's words.
        reason: String,
    },
    /// Something takes longer than it should.
    #[error("a change in the container was not done within {seconds} s")]
    Late {
        /// How long was waited.
        seconds: u64,
    },
    /// A file could not be written, read or removed.
    #[error("{path} in the container: {message}")]
    File {
        /// Path in the container.
        path: String,
        /// Kind of error, for example `permission-denied`.
        kind: String,
        /// Pebble's words.
        message: String,
    },
    /// A command gave more output than was asked for.
    #[error("a command in the container gave more than {limit} bytes of output")]
    TooMuchOutput {
        /// The limit.
        limit: usize,
    },
}

impl PebbleError {
    /// Whether the container is away, which an operator need not do anything about.
    #[must_use]
    pub fn is_not_ready(&self) -> bool {
        matches!(self, Self::NotReady(_))
    }
}
