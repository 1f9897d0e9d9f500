use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// A database of one test on the PostgreSQL that `./dev test` starts. It is dropped with the server, after the run.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    server: Config,
    name: String,
}

/// The role that services run as: every test shows that it suffices.
const ROLE: &str = "services";

impl TestDatabase {
    /// Creates an empty database on the server that all tests share.
    pub async fn create() -> Self {
        Self::on(server()).await
    }

    /// Creates an empty database on a server.
    pub(crate) async fn on(server: Config) -> Self {
        let this = Self { server, name: format!("test_{}", Uuid::now_v7().simple()) };
        let admin = connect(&this.server).await;
        admin
            .batch_execute(&format!("CREATE DATABASE {}", this.name))
            .await
            .expect("a new database");
        admin
            .batch_execute(&format!(
                "DO $$ BEGIN CREATE ROLE {ROLE}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ))
            .await
            .expect("a role");
        this
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database of another name on the same server, which may not be there yet.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { server: self.server.clone(), name: name.to_owned() }
    }

    /// The settings that lead the program here.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let host = match self.server.get_hosts().first() {
            Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
            other => panic!("the tests use PostgreSQL by its socket, not by {other:?}"),
        };
        vec![
            ("DB_HOST", host),
            ("DB_PORT", self.server.get_ports().first().copied().unwrap_or(5432).to_string()),
            ("DB_USER", self.server.get_user().unwrap_or("postgres").to_owned()),
            ("DB_NAME", self.name.clone()),
            ("DB_ROLE", ROLE.into()),
        ]
    }

    /// A connection with the program's tables in sight.
    pub async fn connect(&self) -> Client {
        let mut config = self.server.clone();
        config.dbname(&self.name).options("-c search_path=cluster_manager");
        connect(&config).await
    }

    /// Runs statements as an administrator of the server, outside this database.
    async fn administrate(&self, sql: &str) {
        connect(&self.server)
            .await
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Ends every connection and lets nobody in, as when PostgreSQL is away.
    pub async fn close(&self) {
        let name = &self.name;
        self.administrate(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        self.administrate(&end).await;
    }

    /// Lets everybody in again.
    pub async fn open(&self) {
        self.administrate(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)).await;
    }

    /// Waits until a statement gives this number.
    pub async fn until_count(&self, sql: &str, number: i64) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        loop {
            let found = self.count(sql).await;
            if found == number {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{sql} gives {found}, not {number}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// One number out of this database.
    pub async fn count(&self, sql: &str) -> i64 {
        let row = self
            .connect()
            .await
            .query_one(sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        row.try_get(0).unwrap()
    }

    /// Every value of every row of every table, as text.
    pub async fn dump(&self) -> String {
        self.dump_of("cluster_manager", "").await
    }

    /// The same for any schema, with further columns after a comma.
    pub(crate) async fn dump_of(&self, schema: &str, more: &str) -> String {
        const TABLES: &str =
            "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1";
        let db = self.connect().await;
        let mut text = String::new();
        for table in db.query(TABLES, &[&schema]).await.unwrap() {
            let table: String = table.try_get(0).unwrap();
            let sql = format!(
                "SELECT concat_ws(' ', to_jsonb(t)::text{more}) FROM {schema}.{table} AS t"
            );
            for row in db.query(&sql, &[]).await.unwrap() {
                let row: String = row.try_get(0).unwrap();
                text.extend([&table, ": ", &row, "\n"]);
            }
        }
        text
    }
}

#[expect(clippy::disallowed_methods, reason = "not a setting of the product")]
fn server() -> Config {
    let line = std::env::var("TEST_DATABASE");
    let line = line.expect("TEST_DATABASE is not set: run the tests with ./dev test");
    line.parse().expect("TEST_DATABASE holds the line that tools/postgres.sh prints")
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}
