//! A container: a real Pebble with a folder for its files.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use charm::pki::Leaf;
use end_to_end_tests::{Process, program};
use ops::pebble::Pebble;
use packager::image::{Parts, tree};
use tempfile::TempDir;

/// The user of the services in the image.
pub(crate) const DAEMON: u32 = 584_792;

/// Where Juju gives the charm and a container a folder in common.
const IN_COMMON: &str = "charm/container";

/// A container.
pub(crate) struct Container {
    process: Process,
    socket_folder: PathBuf,
    folder: TempDir,
    address: String,
}

impl Container {
    /// Starts Pebble with its socket in `socket_folder`.
    pub(crate) fn start(socket_folder: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let programs = folder.path().join("root/usr/bin");
        std::fs::create_dir_all(&programs).unwrap();
        let name = "microcloud-cluster-manager";
        std::os::unix::fs::symlink(program(name), programs.join(name)).unwrap();
        let process = pebble(folder.path(), socket_folder);
        Self { process, socket_folder: socket_folder.to_owned(), folder, address: address() }
    }

    /// Starts the image: Pebble and the services see its tree and nothing else, and are its user where the tests may change the user.
    pub(crate) fn start_image(socket_folder: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        // Only its owner can enter what `TempDir` makes.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let image = folder.path().join("image");
        unpack(&image);
        // What Kubernetes and Juju add, as far as it is looked at: a folder in common with the charm, devices, /proc.
        let random = "proc/sys/kernel/random";
        for path in [IN_COMMON, "dev", random] {
            std::fs::create_dir_all(image.join(path)).unwrap();
        }
        std::fs::copy(
            Path::new("/").join(random).join("boot_id"),
            image.join(random).join("boot_id"),
        )
        .unwrap();
        std::fs::write(image.join("dev/null"), "").unwrap();
        std::fs::set_permissions(image.join("dev/null"), PermissionsExt::from_mode(0o666)).unwrap();
        if is_root() {
            std::os::unix::fs::chown(image.join(IN_COMMON), Some(DAEMON), Some(DAEMON)).unwrap();
        }
        std::fs::remove_dir(socket_folder).unwrap();
        std::os::unix::fs::symlink(image.join(IN_COMMON), socket_folder).unwrap();
        let mut command = if is_root() {
            let mut command = Command::new("chroot");
            command.arg(format!("--userspec={DAEMON}:{DAEMON}")).arg(&image);
            command
        } else {
            let mut command = Command::new("unshare");
            command.arg("--map-root-user").arg("--root").arg(&image);
            command
        };
        command
            .args(["/usr/bin/pebble", "run", "--create-dirs", "--hold", "--verbose"])
            .env("PEBBLE", format!("/{IN_COMMON}/pebble"))
            .env("PEBBLE_COPY_ONCE", "/var/lib/pebble/default")
            .env("PEBBLE_SOCKET", format!("/{IN_COMMON}/pebble.socket"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let process = Process::start(&command, &folder.path().join("pebble.log"));
        let process = answering(process, socket_folder);
        Self { process, socket_folder: socket_folder.to_owned(), folder, address: address() }
    }

    /// What is in the image's tree, and when each thing changed; without the folders that belong to its user.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (u32, u64, i64, i64)> {
        let mut found = BTreeMap::new();
        let image = self.folder.path().join("image");
        let own = [IN_COMMON, "var/lib/microcloud-cluster-manager", "var/lib/pebble", "dev/null"];
        let mut folders = vec![image.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&image).unwrap().to_owned();
                if own.iter().any(|own| name == Path::new(own)) {
                    continue;
                }
                let meta = std::fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    folders.push(path);
                }
                let is = (meta.mode(), meta.size(), meta.mtime(), meta.mtime_nsec());
                found.insert(name, is);
            }
        }
        found
    }

    /// What the kernel says about each program that Pebble has started.
    pub(crate) fn programs(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let started = threads.map(|thread| thread.unwrap().path().join("children"));
        let started = started.filter_map(|path| std::fs::read_to_string(path).ok());
        let started =
            started.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        started
            .filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok())
            .collect()
    }

    /// In front of every path.
    pub(crate) fn root(&self) -> String {
        self.folder.path().join("root").to_str().unwrap().to_owned()
    }

    /// What its services listen on.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// What Pebble and the services wrote.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Ends Pebble with its services, forgets all files, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.process.signal("TERM");
        let end = Instant::now() + Duration::from_mins(1);
        while self.process.ended().is_none() {
            assert!(Instant::now() < end, "Pebble does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_dir_all(self.folder.path().join("root/var")).unwrap();
        std::fs::remove_dir_all(self.folder.path().join("pebble")).unwrap();
        self.process = pebble(self.folder.path(), &self.socket_folder);
    }

    /// Whether Pebble tells Kubernetes to send connections here.
    pub(crate) fn is_ready(&self) -> bool {
        let mut pebble = UnixStream::connect(self.socket_folder.join("pebble.socket")).unwrap();
        pebble.write_all(b"GET /v1/health?level=ready HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        pebble.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.0 200 ")
    }

    /// Fingerprint of the certificate at a port.
    pub(crate) fn presented(&self, port: u16) -> String {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &format!("{}:{port}", self.address)])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let begin = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_default();
        let leaf = Leaf::parse(&text[begin..]);
        leaf.map(|leaf| leaf.fingerprint).unwrap_or_default()
    }
}

/// Whether the tests may change the user.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Ports are fixed inside a container, so that each one has an address of its own.
fn address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("127.{}.{}.{}", 128 + process / 250 % 100, 1 + process % 250, 1 + count % 250)
}

/// The image with the program that cargo has built, in a folder.
fn unpack(image: &Path) {
    let program = program("microcloud-cluster-manager");
    let tools = program.ancestors().nth(2).unwrap().join("tools");
    let parts = Parts {
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        pebble: tools.join("pebble"),
        debian: tools.join("debian"),
        program,
    };
    for part in [&parts.pebble, &parts.debian] {
        assert!(part.exists(), "{} is missing: run the tests with ./dev test", part.display());
    }
    std::fs::create_dir(image).unwrap();
    let layer = image.with_extension("tar");
    std::fs::write(&layer, tree(&parts).unwrap().tar().unwrap()).unwrap();
    let unpacked = Command::new("tar").arg("-xpf").arg(&layer).arg("-C").arg(image).output();
    let unpacked = unpacked.unwrap();
    let words = String::from_utf8_lossy(&unpacked.stderr).into_owned();
    assert!(unpacked.status.success() || words.contains("Cannot change ownership"), "{words}");
    std::fs::remove_file(layer).unwrap();
}

/// Pebble as Juju starts it, and waits until it answers.
fn pebble(folder: &Path, socket_folder: &Path) -> Process {
    let built = program("dispatch");
    let built = built.ancestors().nth(2).unwrap().join("tools/pebble");
    assert!(built.exists(), "{} is missing: run the tests with ./dev test", built.display());
    let mut command = Command::new(built);
    command
        .args(["run", "--create-dirs", "--hold", "--verbose"])
        .env("PEBBLE", folder.join("pebble"))
        .env("PEBBLE_SOCKET", socket_folder.join("pebble.socket"))
        .env("PATH", "/usr/bin:/bin");
    answering(Process::start(&command, &folder.join("pebble.log")), socket_folder)
}

/// Waits until Pebble answers.
fn answering(mut process: Process, socket_folder: &Path) -> Process {
    let containers = socket_folder.parent().unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    while Pebble::in_folder(containers, charm::CONTAINER).connect().is_err() {
        let alive = process.ended().is_none() && Instant::now() < end;
        assert!(alive, "Pebble does not answer: {}", process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}
