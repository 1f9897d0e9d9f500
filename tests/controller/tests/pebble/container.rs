//! A container: a real Pebble with a folder for its files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use charm::pki::Leaf;
use end_to_end_tests::{Process, program};
use ops::pebble::Pebble;
use tempfile::TempDir;

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
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // Ports are fixed inside a container, so that each one has an address of its own.
        let address =
            format!("127.{}.{}.{}", 128 + process / 250 % 100, 1 + process % 250, 1 + count % 250);
        let folder = TempDir::new().unwrap();
        let programs = folder.path().join("root/usr/bin");
        std::fs::create_dir_all(&programs).unwrap();
        let name = "microcloud-cluster-manager";
        std::os::unix::fs::symlink(program(name), programs.join(name)).unwrap();
        let process = pebble(folder.path(), socket_folder);
        Self { process, socket_folder: socket_folder.to_owned(), folder, address }
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
    let mut process = Process::start(&command, &folder.join("pebble.log"));
    let containers = socket_folder.parent().unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    while Pebble::in_folder(containers, charm::CONTAINER).connect().is_err() {
        let alive = process.ended().is_none() && Instant::now() < end;
        assert!(alive, "Pebble does not answer: {}", process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}
