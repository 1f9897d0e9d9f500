use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::TestDatabase;

/// A PostgreSQL server of one test, which may kill it.
pub struct DatabaseServer {
    /// A database on it.
    pub database: TestDatabase,
    directory: TempDir,
    port: String,
    data: PathBuf,
    runner: Child,
    frozen: Vec<String>,
}

impl DatabaseServer {
    /// Starts a server with an empty database.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // PostgreSQL runs as a user of its own when the tests run as root.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (runner, line) = run(directory.path(), &[]);
        let config: tokio_postgres::Config = line.parse().unwrap();
        let port = config.get_ports()[0].to_string();
        let database = TestDatabase::on(config).await;
        let data = "SELECT current_setting('data_directory')";
        let data = database.connect().await.query_one(data, &[]).await.unwrap();
        let data = PathBuf::from(data.try_get::<_, String>(0).unwrap());
        Self { database, directory, port, data, runner, frozen: Vec::new() }
    }

    /// Kills the server with all its processes, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        signal("KILL", &self.pid());
        self.runner.wait().unwrap();
    }

    fn pid(&self) -> String {
        let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    /// Stops all its processes where they are: connections stay open, and nothing comes.
    pub fn freeze(&mut self) {
        let server = self.pid();
        // The server first, then it makes no more of them.
        signal("STOP", &server);
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let children = children.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        signal_those_left("STOP", &children);
        self.frozen = [vec![server], children].concat();
    }

    /// Lets them go on.
    pub fn thaw(&mut self) {
        signal_those_left("CONT", &std::mem::take(&mut self.frozen));
    }

    /// Starts the server again on the same data and port, and waits until it answers.
    pub fn start_again(&mut self) {
        self.runner = run(self.directory.path(), &["--port", &self.port]).0;
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        if !self.frozen.is_empty() {
            self.thaw(); // what is frozen does not end
        }
        drop(self.runner.stdin.take()); // the end of its input stops it
        drop(self.runner.wait());
    }
}

fn signal(signal: &str, pid: &str) {
    assert!(signal_those_left(signal, &[pid.to_owned()]).success());
}

/// The same for several, some of which may have ended by themselves meanwhile: a signal reaches all others.
fn signal_those_left(signal: &str, pids: &[String]) -> ExitStatus {
    Command::new("kill")
        .arg(format!("-{signal}"))
        .args(pids)
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// The line says where the server is.
fn run(directory: &Path, options: &[&str]) -> (Child, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/postgres.sh");
    let log = std::fs::File::create(directory.join("server.log")).unwrap();
    let mut runner = Command::new(script)
        .arg("run")
        .arg(directory.join("postgresql"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = || std::fs::read_to_string(directory.join("server.log")).unwrap();
    assert!(line.starts_with("host="), "PostgreSQL does not start: {}", log());
    (runner, line)
}
