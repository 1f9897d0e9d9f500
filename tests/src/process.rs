use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Where measurements find the programs: those of tests are not optimised.
#[expect(clippy::disallowed_methods, reason = "not a setting of the product")]
fn programs() -> Option<PathBuf> {
    std::env::var("PROGRAMS").ok().map(PathBuf::from)
}

/// A program of this workspace, built beside the tests or in the folder `PROGRAMS`.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = match programs() {
        Some(folder) => folder,
        None => tests.ancestors().nth(2).unwrap().to_owned(),
    };
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run the tests with ./dev test", path.display());
    path
}

/// A child process with its log in a file. It is killed when dropped, and when the tests end in any other way.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs in `log`.
    #[must_use]
    pub fn start(command: &Command, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        guarded
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        guarded.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = guarded.spawn().expect("setpriv of util-linux starts the program");
        Self { child, log: log.to_owned() }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        use std::io::Read;
        let mut bytes = Vec::new();
        // A log on a full disk (/dev/full) has no end.
        File::open(&self.log).unwrap().take(64 << 20).read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Sends a signal such as `TERM` or `KILL`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success(), "the process is gone: {}", self.log());
    }

    /// The most memory that it has had in RAM so far.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.kibibytes("VmHWM:") * 1024
    }

    /// The memory that it has in RAM now.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.kibibytes("VmRSS:") * 1024
    }

    fn kibibytes(&self, label: &str) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(label)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many files and connections it has open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What each of its threads does, as the kernel tells it: name, state, and where it waits. Tells why a program hangs.
    #[must_use]
    pub fn threads(&self) -> String {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return "it has ended".into();
        };
        let about = |thread: std::fs::DirEntry| {
            let read = |file| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            let status = read("status");
            let state = status.lines().find_map(|line| line.strip_prefix("State:"));
            let (name, state) = (read("comm"), state.unwrap_or_default());
            format!("{}: {}, {}", name.trim(), state.trim(), read("wchan"))
        };
        threads.flatten().map(about).collect::<Vec<_>>().join("; ")
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until somebody listens on `address`.
    pub async fn until_listening(&mut self, address: SocketAddr) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let alive = self.ended().is_none() && Instant::now() < deadline;
            assert!(alive, "nobody listens on {address}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it has ended well, for five minutes at most: for programs that check something and say in their log what.
    pub async fn succeed(&mut self) {
        let deadline = Instant::now() + Duration::from_mins(5);
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(Instant::now() < deadline, "the program does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(status.success(), "{}", self.log());
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a process has started itself goes with it: services outlive a Pebble that is killed.
impl Drop for Process {
    fn drop(&mut self) {
        // Threads other than the first one start processes, too, so all are asked while they are there.
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let started: Vec<String> = threads
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        drop(self.child.kill());
        drop(self.child.wait());
        if !started.is_empty() {
            drop(Command::new("kill").arg("-KILL").args(started).status());
        }
    }
}
