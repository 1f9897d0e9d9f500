//! The tree that `rockcraft.yaml` describes, from what Debian offers: the program, the libraries that it needs, the certificates of
//! public authorities, Pebble with the services, and one folder that the services' user can write to. No shell, no package manager.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use crate::tree::{Node, Tree};
use crate::{PackError, read, read_yaml};

/// Uid and gid of the user `_daemon_` in rocks.
const DAEMON: u32 = 584_792;

/// What goes into the image.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The project.
    pub root: PathBuf,
    /// The program of the services.
    pub program: PathBuf,
    /// Pebble, which every rock begins with.
    pub pebble: PathBuf,
    /// Folder with the unpacked packages `libc6`, `libgcc-s1` and `ca-certificates`, each in a folder of its name.
    pub debian: PathBuf,
}

/// Makes the tree.
///
/// # Errors
///
/// [`PackError`].
pub fn tree(parts: &Parts) -> Result<Tree, PackError> {
    let path = parts.root.join("rockcraft.yaml");
    let rock = read_yaml(&path)?;
    let wrong =
        |reason: &str| PackError::Description { path: path.clone(), reason: reason.to_owned() };
    let mut tree = Tree::default();
    // All of /usr, as in Ubuntu.
    for folder in ["lib", "lib64"] {
        tree.add(folder, Node::Link(format!("usr/{folder}")), 0o777);
    }
    tree.add("usr/lib64", Node::Folder, 0o755);
    for package in ["libc6", "libgcc-s1"] {
        libraries(&mut tree, &parts.debian.join(package))?;
    }
    authorities(&mut tree, &parts.debian.join("ca-certificates"))?;
    tree.add_text(
        "etc/passwd",
        &format!("root:x:0:0:root:/root:/nonexistent\n_daemon_:x:{DAEMON}:{DAEMON}::/nonexistent:/nonexistent\n"),
    );
    tree.add_text("etc/group", &format!("root:x:0:\n_daemon_:x:{DAEMON}:\n"));
    tree.copy("usr/bin/microcloud-cluster-manager", &parts.program, 0o755)?;
    tree.copy("usr/bin/pebble", &parts.pebble, 0o755)?;
    let name = rock.get("name").and_then(Value::as_str).ok_or_else(|| wrong("name is missing"))?;
    let services = rock.get("services").ok_or_else(|| wrong("services is missing"))?;
    let layer = Mapping::from_iter([(Value::from("services"), services.clone())]);
    let layer = serde_yaml::to_string(&layer).map_err(|error| wrong(&error.to_string()))?;
    tree.add_text(&format!("var/lib/pebble/default/layers/001-{name}.yaml"), &layer);
    tree.add_text("usr/share/doc/microcloud-cluster-manager/copyright", &copyright(&parts.root)?);
    for folder in ["var/lib/pebble", "var/lib/pebble/default"] {
        own(&mut tree, folder, 0o755);
    }
    let state = rock.get("parts").and_then(|parts| parts.get("state"));
    let permissions = state.and_then(|state| state.get("permissions")).and_then(Value::as_sequence);
    for permission in permissions.ok_or_else(|| wrong("the part state has no permissions"))? {
        let text = |key: &str| permission.get(key).and_then(Value::as_str);
        let folder = text("path").ok_or_else(|| wrong("a permission has no path"))?;
        let mode = text("mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
        tree.add(folder, Node::Folder, 0o755);
        own(&mut tree, folder, mode.ok_or_else(|| wrong("a permission has no mode"))?);
    }
    Ok(tree)
}

fn copyright(root: &Path) -> Result<String, PackError> {
    let [licence, notice] = ["LICENSE", "NOTICE"].map(|name| read(&root.join(name)));
    let both = [licence?, notice?].join(&b'\n');
    Ok(String::from_utf8_lossy(&both).into_owned())
}

fn own(tree: &mut Tree, path: &str, mode: u32) {
    if let Some(item) = tree.0.get_mut(path) {
        item.owner = DAEMON;
        item.mode = mode;
    }
}

/// Shared libraries of an unpacked package, wherever it has them, all below `/usr`.
fn libraries(tree: &mut Tree, package: &Path) -> Result<(), PackError> {
    for file in files(package)? {
        let path = relative(package, &file);
        let path = if path.starts_with("usr/") { path } else { format!("usr/{path}") };
        let name = path.rsplit('/').next().unwrap_or_default();
        let library = format!("{name}.").contains(".so.");
        // Conversions between character sets are libraries of their own, which nothing here needs.
        if library && !path.contains("/gconv/") && !path.contains("/audit/") {
            tree.copy(&path, &file, 0o755)?;
        }
    }
    Ok(())
}

/// The certificates one by one and in one text, as Debian's own script writes it.
fn authorities(tree: &mut Tree, package: &Path) -> Result<(), PackError> {
    let mut bundle = String::new();
    for file in files(package)? {
        if file.extension().is_some_and(|end| end == "crt") {
            let text = String::from_utf8_lossy(&read(&file)?).into_owned();
            bundle.push_str(text.trim_end());
            bundle.push('\n');
            tree.add_text(&relative(package, &file), &text);
        }
    }
    tree.add_text("etc/ssl/certs/ca-certificates.crt", &bundle);
    Ok(())
}

fn relative(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned()
}

/// All files and links below a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    let failed = |source| PackError::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
