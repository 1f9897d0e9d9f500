//! The inputs that are kept, one file each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The inputs of one target.
#[derive(Debug)]
pub struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    /// The folder of the repository for the target of this name.
    #[must_use]
    pub fn of(target: &str) -> Self {
        Self { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target) }
    }

    /// All inputs in the order of their files' names.
    ///
    /// # Errors
    ///
    /// What the system answers, for example that there is no such folder.
    pub fn read(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut files = fs::read_dir(&self.folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        files.sort();
        files.into_iter().map(fs::read).collect()
    }

    /// Keeps an input under a name that comes from its content; the answer is the file.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn keep(&self, kind: &str, input: &[u8]) -> io::Result<PathBuf> {
        let digest = hex::encode(Sha256::digest(input));
        let file = self.folder.join(format!("{kind}{}", &digest[..12]));
        fs::create_dir_all(&self.folder)?;
        fs::write(&file, input)?;
        Ok(file)
    }
}
