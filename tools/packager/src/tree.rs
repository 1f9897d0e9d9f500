//! A tree of files for an image, and as a tar.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::{PackError, read};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
}

/// A path's content with its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub node: Node,
    /// Permissions.
    pub mode: u32,
    /// User and group.
    pub owner: u32,
}

/// Items by their path, without a slash at the beginning.
#[derive(Debug, Clone, Default)]
pub struct Tree(pub BTreeMap<String, Item>);

impl Tree {
    /// Adds an item of root's, and the folders that lead to it.
    pub fn add(&mut self, path: &str, node: Node, mode: u32) {
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default().to_owned();
            let item = Item { node: Node::Folder, mode: 0o755, owner: 0 };
            self.0.entry(folder).or_insert(item);
        }
        self.0.insert(path.to_owned(), Item { node, mode, owner: 0 });
    }

    /// Adds a text that everybody may read.
    pub fn add_text(&mut self, path: &str, text: &str) {
        self.add(path, Node::File(text.as_bytes().to_vec()), 0o644);
    }

    /// Adds a file or a link of this machine.
    ///
    /// # Errors
    ///
    /// [`PackError`].
    pub fn copy(&mut self, path: &str, from: &Path, mode: u32) -> Result<(), PackError> {
        let failed = |source| PackError::File { path: from.to_owned(), source };
        let node = if std::fs::symlink_metadata(from).map_err(failed)?.is_symlink() {
            Node::Link(std::fs::read_link(from).map_err(failed)?.to_string_lossy().into_owned())
        } else {
            Node::File(read(from)?)
        };
        self.add(path, node, mode);
        Ok(())
    }

    /// The tree as a tar.
    ///
    /// # Errors
    ///
    /// If a path is too long for one.
    pub fn tar(&self) -> io::Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        for (path, item) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_mode(item.mode);
            header.set_uid(item.owner.into());
            header.set_gid(item.owner.into());
            header.set_mtime(0);
            header.set_size(0);
            match &item.node {
                Node::Folder => {
                    header.set_entry_type(EntryType::Directory);
                    builder.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                Node::File(content) => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_size(u64::try_from(content.len()).map_err(io::Error::other)?);
                    builder.append_data(&mut header, path, content.as_slice())?;
                }
                Node::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    builder.append_link(&mut header, path, target)?;
                }
            }
        }
        builder.into_inner()
    }
}
