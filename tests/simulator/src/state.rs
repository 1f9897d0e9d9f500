//! What a simulated cluster keeps on disk: its certificate and key and, once joined, its manager.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::identity::{Identity, IdentityError};
use crate::member::Pin;

/// A cluster as stored. The identity is there before the join, so that a join that was cut off is
/// repeated with the same certificate, as a real cluster does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCluster {
    /// Name at the manager.
    pub name: String,
    /// The manager; `None` before the join succeeded.
    pub pin: Option<Pin>,
    /// Certificate in PEM.
    pub certificate: String,
    /// Private key in PEM.
    pub key: String,
}

impl StoredCluster {
    /// A cluster that has not joined yet.
    #[must_use]
    pub fn new(name: &str, identity: &Identity) -> Self {
        Self {
            name: name.to_owned(),
            pin: None,
            certificate: identity.certificate_pem(),
            key: identity.key_pem(),
        }
    }

    /// The stored certificate and key.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the stored text is damaged.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or the directory cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// What was to be read or written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not what was stored.
    #[error("{} is damaged: {reason}; remove it and join again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The name cannot be a file name.
    #[error("the name {0:?} cannot be stored in a state directory")]
    Name(String),
}

/// A directory with one file per cluster, readable by its owner only.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Uses the directory, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`StateError::File`] if it cannot be made.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| failed("create", path, source))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The cluster of this name, `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StateError`] if its file cannot be read.
    pub fn load(&self, name: &str) -> Result<Option<StoredCluster>, StateError> {
        let path = self.file(name)?;
        match fs::read(&path) {
            Ok(text) => parse(&path, &text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("read", &path, e)),
        }
    }

    /// All clusters, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the directory or a file cannot be read.
    pub fn list(&self) -> Result<Vec<StoredCluster>, StateError> {
        let mut found = Vec::new();
        let entries = fs::read_dir(&self.path).map_err(|e| failed("read", &self.path, e))?;
        for entry in entries {
            let path = entry.map_err(|e| failed("read", &self.path, e))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path).map_err(|e| failed("read", &path, e))?;
                found.push(parse(&path, &text)?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Stores the cluster; the old file is replaced at once or not at all.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it cannot be written.
    pub fn save(&self, cluster: &StoredCluster) -> Result<(), StateError> {
        let path = self.file(&cluster.name)?;
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(cluster)?)?;
            fs::rename(&new, &path)
        };
        write().map_err(|source| failed("write", &path, source))
    }

    /// Forgets the cluster; it is no error if there is none.
    ///
    /// # Errors
    ///
    /// [`StateError`] if its file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> Result<PathBuf, StateError> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(StateError::Name(name.to_owned()));
        }
        Ok(self.path.join(format!("{name}.json")))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::File { action, path: path.to_owned(), source }
}

fn parse(path: &Path, text: &[u8]) -> Result<StoredCluster, StateError> {
    serde_json::from_slice(text)
        .map_err(|e| StateError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn clusters_are_stored_for_their_owner_only_and_come_back_the_same() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(&home.path().join("fleet")).unwrap();
        assert_eq!(state.load("lyon-edge").unwrap(), None);
        let identity = Identity::generate("lyon-a01").unwrap();
        let mut cluster = StoredCluster::new("lyon-edge", &identity);
        state.save(&cluster).unwrap();
        cluster.pin = Some(Pin { addresses: vec!["h:1".into()], fingerprint: "ab".into() });
        state.save(&cluster).unwrap();
        state.save(&StoredCluster::new("bern", &identity)).unwrap();
        assert_eq!(state.load("lyon-edge").unwrap().as_ref(), Some(&cluster));
        assert_eq!(cluster.identity().unwrap().der(), identity.der());
        let names: Vec<_> = state.list().unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["bern", "lyon-edge"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("fleet")), 0o700);
        assert_eq!(mode(&home.path().join("fleet/lyon-edge.json")), 0o600);
        state.remove("bern").unwrap();
        state.remove("bern").unwrap();
        assert_eq!(state.list().unwrap(), [cluster]);
    }

    #[test]
    fn names_that_leave_the_directory_and_damaged_files_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden"] {
            assert!(matches!(state.load(name), Err(StateError::Name(_))), "{name}");
        }
        fs::write(home.path().join("torn.json"), b"{\"name\":").unwrap();
        let refused = state.list().unwrap_err().to_string();
        assert!(refused.contains("torn.json is damaged"), "{refused}");
    }
}
