//! The Cluster Connector as a child process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Error;
use crate::cpu::{self, Memory};
use crate::database::Database;
use crate::fleet::Manager;

/// Longest time from the start to the first positive answer of the readiness probe.
const START_TIME: Duration = Duration::from_secs(30);

/// The running service. It is killed when dropped, and when this process ends in any other way.
pub(crate) struct Connector {
    child: Child,
    /// `host:port` of the API.
    pub(crate) address: String,
    /// From its start to its first positive answer to a readiness probe.
    pub(crate) start_time: Duration,
}

impl Connector {
    /// Creates the schema.
    pub(crate) fn migrate(server: &Path, database: &Database) -> Result<(), Error> {
        let done =
            Command::new(server).arg("migrate").env_clear().envs(database.settings()).output()?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
        }
        Ok(())
    }

    /// Starts the service with the settings of a deployment, except for the rate limits, which a load from one machine would
    /// meet, and waits until it is ready. Its log goes to a file.
    pub(crate) async fn start(
        server: &Path,
        database: &Database,
        manager: &Manager,
        receiver: Option<&str>,
    ) -> Result<Self, Error> {
        let [api, probes] = free_ports()?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(server).arg("cluster-connector");
        command.env_clear().envs(database.settings());
        command
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", api.port().to_string())
            .env("STATUS_PORT", probes.port().to_string())
            .env("DATA_DIR", &manager.folder)
            .env("CLUSTER_CONNECTOR_TLS_PATH", &manager.folder)
            .env("PROMETHEUS_BASE_URL", receiver.unwrap_or_default());
        for limit in ["REFILL_RATE", "BUCKET_SIZE"] {
            command.env(format!("RATE_LIMIT_{limit}"), "1000000");
        }
        for limit in ["UNKNOWN_PER_UNIT", "PREFLIGHT_PER_ADDRESS", "PREFLIGHT_PER_UNIT"] {
            command.env(format!("RATE_LIMIT_{limit}"), "1000000:1000000");
        }
        let log = manager.folder.join("connector.log");
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let begin = Instant::now();
        let (child, address) = (command.spawn()?, api.to_string());
        let mut this = Self { child, address, start_time: Duration::ZERO };
        let deadline = begin + START_TIME;
        while !is_ready(probes).await {
            if this.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&log)?;
                return Err(format!("the Cluster Connector does not start: {log}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        this.start_time = begin.elapsed();
        Ok(this)
    }

    /// CPU time that it has used so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        cpu::of_process(self.child.id())
    }

    /// Its resident memory.
    pub(crate) fn memory(&self) -> Result<Memory, Error> {
        cpu::memory(self.child.id())
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_ports() -> Result<[SocketAddr; 2], Error> {
    // Both are held until both are known, so that they differ.
    let (first, second) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([first.local_addr()?, second.local_addr()?])
}

async fn is_ready(probes: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(probes).await?;
        stream
            .write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    ask.await.is_ok_and(|answer| answer == *b"HTTP/1.1 200")
}
