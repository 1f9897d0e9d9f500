//! `tools/build.sh` gives the same program in every folder (security property SUP-03); `./dev reproduce` shows it with the real ones,
//! which takes too long for every run.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Code that a build script writes is compiled by its full path, which the message of its panic then names. What a C compiler makes of
/// its macros is in the same message.
const FILES: [(&str, &str); 4] = [
    (
        "Cargo.toml",
        "[package]\nname = \"microcloud-cluster-manager\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n",
    ),
    (
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"microcloud-cluster-manager\"\nversion = \"0.1.0\"\n",
    ),
    (
        "build.rs",
        r##"fn main() {
    let made = r#"
        echo 'fn made() { panic!(concat!(__FILE__, " ", __DATE__, " ", __TIME__)) }' >"$OUT_DIR/made.c"
        eval "cc $CFLAGS -E -P -o \"\$OUT_DIR/made.rs\" \"\$OUT_DIR/made.c\""
    "#;
    assert!(std::process::Command::new("sh").args(["-ec", made]).status().unwrap().success());
}
"##,
    ),
    (
        "src/main.rs",
        "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\nfn main() {\n    made();\n}\n",
    ),
];

/// Builds a small project in a folder, by the script or by cargo alone.
fn built(folder: &Path, by_script: bool) -> Vec<u8> {
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(folder.join("tools")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build.sh");
    fs::copy(script, folder.join("tools/build.sh")).unwrap();
    let mut build = if by_script {
        let mut build = Command::new(folder.join("tools/build.sh"));
        build.arg("services");
        build
    } else {
        let mut build = Command::new("cargo");
        build.args(["build", "--locked", "--release"]);
        build
    };
    build.env_remove("CARGO_TARGET_DIR").env("RUSTFLAGS", "").env("CFLAGS", "");
    build.current_dir(folder);
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(folder.join("target/release/microcloud-cluster-manager")).unwrap()
}

fn names(program: &[u8], path: &str) -> bool {
    program.windows(path.len()).any(|window| window == path.as_bytes())
}

#[test]
fn sup_03_a_program_is_the_same_in_every_folder_at_any_time_and_names_neither() {
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path().canonicalize().unwrap();
    let folders: [PathBuf; 2] = ["one", "a longer name/two"].map(|name| parent.join(name));
    let place = parent.to_str().unwrap();
    let [one, other] = folders.each_ref().map(|folder| built(folder, false));
    assert!(one != other && names(&one, place), "cargo alone has it in the program");
    let [one, other] = folders.each_ref().map(|folder| built(folder, true));
    assert!(!names(&one, place) && names(&one, "/source/target/release/build/"));
    assert!(
        names(&one, "/out/made.c Jan  1 1970 00:00:00"),
        "C code has a path or time of its own"
    );
    assert!(one == other, "two folders give two programs");
}
