//! A database of this run on the given PostgreSQL server.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use cluster_simulator::Identity;
use time::OffsetDateTime;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use crate::Error;
use crate::cpu;

/// Rows in one statement when clusters are enrolled.
const CHUNK: usize = 1000;

pub(crate) struct Database {
    server: Config,
    name: String,
    /// Process id of PostgreSQL's first process.
    postmaster: u32,
}

/// What PostgreSQL did by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upserts {
    pub(crate) per_second: f64,
    /// PostgreSQL's CPU time of each.
    pub(crate) cpu: Duration,
}

impl Database {
    /// Creates an empty database on the server that `line`, in the form of libpq, leads to.
    pub(crate) async fn create(line: &str) -> Result<Self, Error> {
        let server: Config = line.parse()?;
        let client = connect(&server).await?;
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
        let backend: i32 = row.try_get(0)?;
        let postmaster = cpu::parent(u32::try_from(backend)?)
            .map_err(|_| "PostgreSQL must run on this machine: its CPU time is measured")?;
        let name = format!("bench_{}", std::process::id());
        client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self { server, name, postmaster })
    }

    /// Drops the database; nothing of the run stays.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let client = connect(&self.server).await?;
        client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await?;
        Ok(())
    }

    /// CPU time of all of PostgreSQL so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        cpu::of_family(self.postmaster)
    }

    /// The settings that lead the program here.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DB_HOST", self.socket()),
            ("DB_PORT", self.port().to_string()),
            ("DB_USER", self.user()),
            ("DB_NAME", self.name.clone()),
        ]
    }

    fn socket(&self) -> String {
        match self.server.get_hosts().first() {
            Some(Host::Unix(folder)) => folder.display().to_string(),
            Some(Host::Tcp(name)) => name.clone(),
            None => String::new(),
        }
    }

    fn port(&self) -> u16 {
        self.server.get_ports().first().copied().unwrap_or(5432)
    }

    fn user(&self) -> String {
        self.server.get_user().unwrap_or("postgres").to_owned()
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut config = self.server.clone();
        config.dbname(&self.name).options("-c search_path=cluster_manager");
        connect(&config).await
    }

    /// Enrols clusters as a join leaves them, past the tokens; those that are enrolled stay. Old versions of rows are cleaned
    /// up and pages written, so that a measurement does not pay for what came before it.
    pub(crate) async fn enrol(&self, clusters: &[Identity]) -> Result<(), Error> {
        const SQL: &str = "
            WITH cluster AS (
                INSERT INTO remote_clusters
                            (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
                SELECT 'cluster-' || left(encode(fingerprint, 'hex'), 16), certificate, fingerprint, $3, $4
                  FROM unnest($1::text[], $2::bytea[]) AS new (certificate, fingerprint)
                    ON CONFLICT DO NOTHING RETURNING id)
            INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM cluster";
        let client = self.connect().await?;
        let now = OffsetDateTime::now_utc();
        let (begin, end) = (now - time::Duration::hours(1), now + time::Duration::days(3650));
        for chunk in clusters.chunks(CHUNK) {
            let certificates: Vec<_> = chunk.iter().map(Identity::certificate_pem).collect();
            let fingerprints = chunk.iter().map(|cluster| parse_hex(&cluster.fingerprint()));
            let fingerprints = fingerprints.collect::<Result<Vec<_>, _>>()?;
            client.execute(SQL, &[&certificates, &fingerprints, &begin, &end]).await?;
        }
        self.settle(&client).await
    }

    async fn settle(&self, client: &Client) -> Result<(), Error> {
        client.batch_execute("VACUUM (ANALYZE)").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }

    /// How many single-row upserts per second PostgreSQL does by itself, each in a transaction of its own, with the same
    /// durability and rows of the same shape, for `length` with so many clients. pgbench makes the load.
    pub(crate) async fn upserts(
        &self,
        rows: u32,
        clients: u32,
        length: Duration,
    ) -> Result<Upserts, Error> {
        let client = self.connect().await?;
        client
            .batch_execute(&format!(
                "DROP TABLE IF EXISTS upserts;
                 CREATE TABLE upserts (LIKE remote_cluster_details INCLUDING ALL) WITH (fillfactor = 70);
                 INSERT INTO upserts (remote_cluster_id) SELECT generate_series(1, {rows});"
            ))
            .await?;
        self.settle(&client).await?;
        let mut script = tempfile::NamedTempFile::new()?;
        script.write_all(upsert_script(rows).as_bytes())?;
        let before = self.cpu()?;
        let done = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
            .arg(format!("--client={clients}"))
            .arg(format!("--time={}", length.as_secs()))
            .arg("--file")
            .arg(script.path())
            .args(["--host", &self.socket(), "--port", &self.port().to_string()])
            .args(["--username", &self.user(), &self.name])
            .env("PGOPTIONS", "-c search_path=cluster_manager")
            .output()
            .map_err(|error| format!("pgbench of PostgreSQL's packages cannot run: {error}"))?;
        let used = self.cpu()?.saturating_sub(before);
        let output = String::from_utf8_lossy(&done.stdout);
        let number = |prefix: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(prefix));
            line.and_then(|rest| rest.split(['/', ' ']).next()?.parse::<f64>().ok())
        };
        let counted = number("tps = ")
            .zip(number("number of transactions actually processed: "))
            .filter(|_| done.status.success());
        let (per_second, count) = counted
            .ok_or_else(|| format!("pgbench failed: {}", String::from_utf8_lossy(&done.stderr)))?;
        client.batch_execute("DROP TABLE upserts").await?;
        Ok(Upserts { per_second, cpu: used.div_f64(count.max(1.0)) })
    }
}

/// A heartbeat's columns for a random row.
fn upsert_script(rows: u32) -> String {
    format!(
        r#"\set id random(1, {rows})
INSERT INTO upserts AS u
       (remote_cluster_id, ceph_count, ceph_statuses, cpu_load_1, cpu_load_5, cpu_load_15, memory_total_amount,
        memory_usage, storage_pool_usages, member_count, member_statuses, instance_count, instance_statuses, last_heartbeat_at)
VALUES (:id, 3, '[{{"status":"ONLINE","count":3}}]', '0.52', '0.48', '0.44', 412316860416, 120259084288,
        '[{{"name":"local","member":"m1","total":1000,"usage":10}},{{"name":"remote","member":"","total":9000,"usage":20}}]',
        3, '[{{"status":"Online","count":3}}]', 12, '[{{"status":"Running","count":10}},{{"status":"Stopped","count":2}}]', now())
    ON CONFLICT (remote_cluster_id) DO UPDATE
   SET ceph_count = excluded.ceph_count, ceph_statuses = excluded.ceph_statuses, cpu_load_1 = excluded.cpu_load_1,
       cpu_load_5 = excluded.cpu_load_5, cpu_load_15 = excluded.cpu_load_15,
       memory_total_amount = excluded.memory_total_amount, memory_usage = excluded.memory_usage,
       storage_pool_usages = excluded.storage_pool_usages, member_count = excluded.member_count,
       member_statuses = excluded.member_statuses, instance_count = excluded.instance_count,
       instance_statuses = excluded.instance_statuses, last_heartbeat_at = excluded.last_heartbeat_at;
"#
    )
}

fn parse_hex(text: &str) -> Result<Vec<u8>, Error> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
