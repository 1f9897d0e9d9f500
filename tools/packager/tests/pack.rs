//! `tools/pack.sh` where charmcraft is installed: charmcraft's own program packs a project whose program is there already.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code outside test functions")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use packager::charm;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("the charm is not for {other}"),
    }
}

/// What the part does instead of a build.
const INSTALL: &str = "    override-build: |
      install -D -m 0755 program \"$CRAFT_PART_INSTALL/dispatch\"
      install -D -m 0644 LICENSE \"$CRAFT_PART_INSTALL/LICENSE\"
";

/// A project with the commands of this one, in a folder of its own.
struct Project {
    folder: TempDir,
}

/// How `tools/pack.sh` ended.
struct Ended {
    good: bool,
    stdout: String,
    stderr: String,
}

impl Project {
    fn new() -> Self {
        let this = Self { folder: TempDir::new().unwrap() };
        for file in ["tools/pack.sh", "tools/lib.sh", "LICENSE", "Cargo.lock"] {
            this.write(file, &fs::read(root().join(file)).unwrap());
        }
        // What builds and checkouts leave.
        for file in ["target/debug/large", "ui/node_modules/large", ".git/config", "ui/src/small"] {
            this.write(file, b"x");
        }
        let yaml = fs::read_to_string(root().join("charmcraft.yaml")).unwrap();
        let (before, rest) = yaml.split_once("    build-packages:").unwrap();
        let (_, after) = rest.split_once("    prime:").unwrap();
        this.write("charmcraft.yaml", format!("{before}{INSTALL}    prime:{after}").as_bytes());
        this.write("etc/os-release", b"ID=ubuntu\nVERSION_ID=\"24.04\"\n");
        let python = root().join(".dev/charmcraft/bin/python");
        assert!(python.exists(), "charmcraft is not installed: run the tests with ./dev test");
        let pack = root().join("tests/charmcraft/pack.py");
        this.script("charmcraft", &format!("exec {} {} \"$@\"", python.display(), pack.display()));
        // Of cargo, what remains to do is to run the packager that it has built, and to list the crates of the charm.
        let (cargo, packager) = (env!("CARGO"), env!("CARGO_BIN_EXE_packager"));
        let manifest = root().join("Cargo.toml");
        this.script(
            "cargo",
            &format!(
                "[ \"$1\" != tree ] || exec {cargo} \"$@\" --manifest-path {}\n\
                 [ \"$1\" = run ] || exit 1\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec {packager} \"$@\"",
                manifest.display()
            ),
        );
        this.program("static");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn script(&self, name: &str, lines: &str) {
        let name = format!("bin/{name}");
        self.write(&name, format!("#!/bin/sh\n{lines}\n").as_bytes());
        fs::set_permissions(self.path(&name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Makes the charm's program, a static one with this text in it.
    fn program(&self, text: &str) {
        let source = format!("const char text[] = \"{text}\"; void _start(void) {{ for (;;); }}\n");
        self.write("program.c", source.as_bytes());
        let mut cc = Command::new("cc");
        cc.args(["-static", "-nostdlib", "-o"])
            .args([self.path("program"), self.path("program.c")]);
        assert!(cc.status().unwrap().success());
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{from}");
        self.write(file, text.replace(from, to).as_bytes());
    }

    fn pack(&self) -> Ended {
        let path = std::env::var_os("PATH").unwrap();
        let folders = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let output = Command::new("bash")
            .arg(self.path("tools/pack.sh"))
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("UNIXCONFDIR", self.path("etc"))
            .env("CRAFT_BUILD_ENVIRONMENT", "host")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            good: output.status.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn charm(&self) -> PathBuf {
        self.path(&format!("target/microcloud-cluster-manager-k8s_{}.charm", architecture()))
    }

    /// The one line that the command says instead of packing.
    fn refusal(&self) -> String {
        let ended = self.pack();
        assert!(!ended.good && !ended.stdout.contains("juju deploy"), "{}", ended.stdout);
        assert!(!self.charm().exists());
        assert_eq!(ended.stderr.lines().count(), 1, "{}{}", ended.stdout, ended.stderr);
        ended.stderr
    }
}

#[test]
fn charmcraft_packs_what_the_own_packer_packs_and_again_when_it_has_changed() {
    let project = Project::new();
    for text in ["first", "second"] {
        project.program(text);
        let ended = project.pack();
        let log = fs::read_to_string(project.path("target/pack-logs/charmcraft.log"));
        assert!(ended.good, "{}{}{log:?}", ended.stdout, ended.stderr);
        let deploy = format!(
            "\nTo deploy it: juju deploy ./target/microcloud-cluster-manager-k8s_{}.charm --resource \
             microcloud-cluster-manager-image=<image>\n",
            architecture()
        );
        assert!(ended.stdout.ends_with(&deploy), "{}", ended.stdout);
        let program = charm::program(project.folder.path(), &project.charm(), architecture());
        assert_eq!(program.unwrap(), fs::read(project.path("program")).unwrap());
        // The bill of materials that stands beside it is about this very file.
        let bill = fs::read_to_string(project.charm().with_extension("cdx.json")).unwrap();
        let hash = hex::encode(Sha256::digest(fs::read(project.charm()).unwrap()));
        assert!(bill.contains(&hash) && bill.contains("pkg:cargo/serde@"), "{bill}");
    }
    // What charmcraft would have to copy into a container.
    let copied = |name: &str| project.path("target/charmcraft").join(name).exists();
    assert!(copied("charmcraft.yaml") && copied("ui/src/small"));
    assert!(!copied("target") && !copied("ui/node_modules") && !copied(".git"));
}

#[test]
fn what_charmcraft_gets_wrong_is_said_in_one_line_and_leaves_no_charm() {
    let project = Project::new();
    project.change("charmcraft.yaml", "install -D -m 0755", "install -D -m 0644");
    assert!(project.refusal().ends_with("dispatch has the mode 644 instead of 755\n"));

    project.change("charmcraft.yaml", "install -D -m 0644 program", "install -D -m 0755 program");
    fs::copy("/bin/sh", project.path("program")).unwrap();
    let refusal = project.refusal();
    assert!(refusal.ends_with(" is not static: it needs a loader\n"), "{refusal}");

    let large = [b"\x7fELF".to_vec(), vec![0xff; 6 << 20]].concat();
    project.write("program", &large);
    assert!(project.refusal().contains(" has 6291460 bytes, more than 5242880: "));
    project.write("program", b"#!/bin/sh\n");
    let refusal = project.refusal();
    assert!(refusal.ends_with(" is not a program of this machine\n"), "{refusal}");

    project.change("charmcraft.yaml", "plugin: nil", "plugin: nix");
    let refusal = project.refusal();
    let wanted = "error: charmcraft cannot pack the charm: it says why in target/pack-logs/charmcraft.log; \
                  to do without it: ./dev pack --own\n";
    assert_eq!(refusal, wanted);
    let log = fs::read_to_string(project.path("target/pack-logs/charmcraft.log")).unwrap();
    assert!(log.contains("nix"), "{log}");
}
