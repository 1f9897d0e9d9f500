//! Packs what is deployed, from `charmcraft.yaml` and `rockcraft.yaml`, where the snaps for it are not at hand: a charm is a zip
//! with a few files, an image a tree of files with a description.
//!
//! The same input gives the same bytes: files are sorted and have no time.

pub mod charm;
pub mod image;
pub mod oci;
pub mod sbom;
pub mod tree;

use std::path::{Path, PathBuf};

use serde_yaml::Value;

/// Why something cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A description is not what it should be.
    #[error("{path}: {reason}")]
    Description {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A packed charm is not what it should be.
    #[error("{path} is not the charm of this project: {reason}")]
    Charm {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A bill of materials cannot be made.
    #[error("the bill of materials cannot be made: {0}")]
    Bill(String),
    /// The result cannot be written.
    #[error("the package cannot be written")]
    Write(#[from] std::io::Error),
    /// The zip cannot be written.
    #[error("the zip cannot be written")]
    Zip(#[from] zip::result::ZipError),
}

/// Reads a YAML file.
///
/// # Errors
///
/// [`PackError`].
pub fn read_yaml(path: &Path) -> Result<Value, PackError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    serde_yaml::from_str(&text).map_err(|error| PackError::Description {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    std::fs::read(path).map_err(|source| PackError::File { path: path.to_owned(), source })
}
