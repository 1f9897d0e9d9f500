//! Files that several processes may want to make at the same time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes `path` with the content that `write` gives, readable by its owner only, whole or not at all. If another process
/// was first, its file stays.
///
/// # Errors
///
/// What the file system answers.
pub(crate) fn create_once(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = Path::new(&name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    let made = write(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(temporary, path));
    fs::remove_file(temporary)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
