//! Files that several processes may want to make at the same time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

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
    // Processes in different containers may have the same number.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", Uuid::new_v4()));
    let temporary = Path::new(&name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    let made = write(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(temporary, path));
    let made = but(made, io::ErrorKind::AlreadyExists);
    // Somebody may have tidied up.
    let removed = but(fs::remove_file(temporary), io::ErrorKind::NotFound);
    made.and(removed)
}

/// The result, unless it is an error of this kind, which is none.
fn but(result: io::Result<()>, harmless: io::ErrorKind) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == harmless => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn of_processes_that_make_a_file_at_the_same_time_one_is_first_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        // The second one, with the same process number, begins and ends while the first one writes.
        create_once(&path, |file| {
            file.write_all(b"the first one's")?;
            create_once(&path, |file| file.write_all(b"the second one's"))?;
            assert_eq!(fs::read(&path)?, b"the second one's");
            file.write_all(b" and more")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the second one's");
        create_once(&path, |file| file.write_all(b"the third one's")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the second one's");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let full = |_: &mut File| Err(io::ErrorKind::StorageFull.into());
        assert_eq!(create_once(&path, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
