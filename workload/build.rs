//! Tells cargo what is embedded, and makes sure that the folder of the UI exists: a build without Node works too.

use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=../ui/dist");
    let dist = Path::new("../ui/dist");
    if !dist.exists() {
        std::fs::create_dir_all(dist)?;
    }
    Ok(())
}
