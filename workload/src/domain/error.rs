use crate::store::StoreError;

/// Every way in which the product refuses or fails, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong; the text says what and what is right.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed. On the connector it says nothing more, so that nobody learns which names and tokens exist.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is there already, or in the way.
    #[error("{0}")]
    Conflict(&'static str),
    /// More comes in than can be done; later it will work. The text is for the log.
    #[error("{0}")]
    Overloaded(&'static str),
    /// Something else that is needed gives no answer; the text says what.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The database gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our own defect; the text is for the log.
    #[error("{0}")]
    Defect(&'static str),
}

/// The refusal that tells nothing.
pub(super) const FORBIDDEN: Error = Error::Forbidden("Forbidden");
