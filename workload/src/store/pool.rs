//! Connections to PostgreSQL.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use workload_config::{Database, DatabaseHost, DatabaseTls, ExposeSecret};

use super::StoreError;
use crate::tls::{self, TlsError};

/// A connection out of the pool; it goes back when dropped.
pub type Connection = deadpool_postgres::Object;

/// What each connection starts with: our own PostgreSQL schema, and a time limit on everything.
const SESSION_OPTIONS: &str = "-c search_path=cluster_manager -c timezone=utc -c statement_timeout=5s \
    -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s";

/// How long a caller waits for a connection, and how long opening one may take.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that was in use before may take to show that it is alive.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long all of this may take together: a request without a database is refused within three seconds.
const TAKE_TIMEOUT: Duration = Duration::from_millis(2500);

/// How long an answer to the question whether the database is there counts.
const PING_AGE: Duration = Duration::from_millis(500);

/// How long the database may say nothing to somebody who waits for it.
const SILENCE: Duration = Duration::from_millis(1500);

/// How long one server may take to accept: all together leave some of [`ACQUIRE_TIMEOUT`] for the login at the last one.
fn connect_timeout(servers: usize) -> Duration {
    match u32::try_from(servers) {
        Ok(0 | 1) => ACQUIRE_TIMEOUT,
        Ok(servers) => ACQUIRE_TIMEOUT * 3 / 4 / servers,
        Err(_) => ACQUIRE_TIMEOUT / 4,
    }
}

/// What the name of every service's connections begins with, as the database shows it; the service's name follows.
pub(super) const SERVICE_PREFIX: &str = "microcloud-cluster-manager/";

/// A bounded pool of connections. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    /// Of connections that use the schema.
    config: tokio_postgres::Config,
    /// Of those that change it.
    owner: tokio_postgres::Config,
    tls: Option<rustls::ClientConfig>,
    /// When the database was last asked whether it is there, and whether it was.
    last_ping: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Pool {
    /// Prepares a pool for a command, which may do what `DB_USER` may; connections are opened when they are needed, so PostgreSQL may be
    /// away.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the file with authorities cannot be used.
    pub fn new(database: &Database) -> Result<Self, TlsError> {
        Self::named(database, "microcloud-cluster-manager", None)
    }

    /// Prepares a pool for a service, which the database lists under its name, and which may do what `DB_ROLE` may, if that is set.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the file with authorities cannot be used.
    pub fn for_service(database: &Database, service: &str) -> Result<Self, TlsError> {
        Self::named(database, &[SERVICE_PREFIX, service].concat(), database.role.as_deref())
    }

    fn named(database: &Database, name: &str, role: Option<&str>) -> Result<Self, TlsError> {
        let mut owner = tokio_postgres::Config::new();
        for server in &database.servers {
            match &server.host {
                DatabaseHost::Tcp(host) => owner.host(host),
                DatabaseHost::Socket(directory) => owner.host_path(directory),
            };
            owner.port(server.port);
        }
        owner
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .user(&database.user)
            .password(database.password.expose_secret())
            .dbname(&database.name)
            .application_name(name)
            .connect_timeout(connect_timeout(database.servers.len()))
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(15))
            .keepalives_retries(4)
            .tcp_user_timeout(Duration::from_mins(1))
            .options(SESSION_OPTIONS);
        let tls = match &database.tls {
            DatabaseTls::Disabled => None,
            DatabaseTls::VerifyFull { ca_file } => {
                owner.ssl_mode(tokio_postgres::config::SslMode::Require);
                Some(tls::client_config(ca_file.as_deref())?)
            }
        };
        let mut config = owner.clone();
        if let Some(role) = role {
            config.options([SESSION_OPTIONS, " -c role=", &escaped(role)].concat());
        }
        // Whether they are alive is asked in `take`.
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match tls.clone() {
            None => Manager::from_config(config.clone(), NoTls, recycle),
            Some(tls) => Manager::from_config(config.clone(), MakeRustlsConnect::new(tls), recycle),
        };
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(database.max_open)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(ACQUIRE_TIMEOUT))
            .create_timeout(Some(ACQUIRE_TIMEOUT))
            .build()
            .map_err(|_| TlsError::Runtime)?;
        Ok(Self { inner, config, owner, tls, last_ping: Arc::default() })
    }

    /// Takes a connection.
    ///
    /// # Errors
    ///
    /// [`StoreError::Connect`] when PostgreSQL cannot be reached or all connections stay busy for two seconds, after two and a half
    /// seconds at the latest.
    pub async fn get(&self) -> Result<Connection, StoreError> {
        match tokio::time::timeout(TAKE_TIMEOUT, self.take()).await {
            Ok(taken) => taken,
            Err(elapsed) => Err(StoreError::Connect(elapsed.into())),
        }
    }

    async fn take(&self) -> Result<Connection, StoreError> {
        loop {
            let taken = self.inner.get().await;
            let db = taken.map_err(|error| StoreError::Connect(error.into()))?;
            if Connection::metrics(&db).recycle_count == 0 {
                return Ok(db); // it was opened just now
            }
            // A line that is dead looks like one on which nothing happens: only an answer tells them apart.
            if let Ok(Ok(_)) = tokio::time::timeout(ANSWER_TIMEOUT, db.simple_query("")).await {
                return Ok(db);
            }
            // What happened to this one has happened to those that lie beside it: nobody waits for each of them.
            drop(Connection::take(db));
            self.inner.retain(|_, _| false);
        }
    }

    /// A connection of its own outside the pool, on which everything may be done that `DB_USER` may.
    pub(super) async fn owner(&self) -> Result<tokio_postgres::Client, StoreError> {
        self.connect(&self.owner, |_| {}).await
    }

    /// How many connections are open: idle ones and those in use.
    #[must_use]
    pub fn connections(&self) -> (i64, i64) {
        let status = self.inner.status();
        let idle = status.available;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        (count(idle), count(status.size.saturating_sub(idle)))
    }

    /// A connection of its own that passes the payload of each notification to `hear`: all that PostgreSQL sends before the
    /// answer to a statement are passed on before that answer is.
    pub(super) async fn listening(
        &self,
        hear: impl FnMut(&str) + Send + 'static,
    ) -> Result<tokio_postgres::Client, StoreError> {
        self.connect(&self.config, hear).await
    }

    async fn connect(
        &self,
        config: &tokio_postgres::Config,
        hear: impl FnMut(&str) + Send + 'static,
    ) -> Result<tokio_postgres::Client, StoreError> {
        let connected = async {
            match &self.tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(pass_on(connection, hear));
                    Ok(client)
                }
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(tls.clone());
                    let (client, connection) = config.connect(tls).await?;
                    tokio::spawn(pass_on(connection, hear));
                    Ok(client)
                }
            }
        };
        match tokio::time::timeout(ACQUIRE_TIMEOUT, connected).await {
            Ok(connected) => {
                connected.map_err(|error: tokio_postgres::Error| StoreError::Connect(error.into()))
            }
            Err(elapsed) => Err(StoreError::Connect(elapsed.into())),
        }
    }

    /// Whether the database can be written to, as of half a second ago at most: however many ask, it is asked twice a second.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there was no answer, or a no.
    pub async fn answers(&self) -> Result<(), StoreError> {
        let mut last = self.last_ping.lock().await;
        match *last {
            Some((at, true)) if at.elapsed() < PING_AGE => Ok(()),
            Some((at, false)) if at.elapsed() < PING_AGE => {
                Err(StoreError::Connect("the database did not answer a moment ago".into()))
            }
            _ => {
                let answer = self.ping().await;
                *last = Some((Instant::now(), answer.is_ok()));
                answer
            }
        }
    }

    /// Returns when the database says nothing any more, for somebody who waits for it: it may be slow, then the wait goes on, or away.
    pub(crate) async fn silence(&self) -> StoreError {
        loop {
            tokio::time::sleep(PING_AGE / 2).await;
            match tokio::time::timeout(SILENCE, self.answers()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(elapsed) => return StoreError::Connect(elapsed.into()),
            }
        }
    }

    /// Asks the database whether it can be written to, within two seconds in all. If it no longer can, because another server took
    /// its place, connections to it are given up: new ones find that other server.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is no answer, or a no.
    async fn ping(&self) -> Result<(), StoreError> {
        let ask = async {
            let db = self.get().await?;
            let failed = StoreError::query("asking for a sign of life");
            let answer = db.simple_query("SHOW transaction_read_only").await.map_err(failed)?;
            let read_only = answer.iter().any(|message| match message {
                SimpleQueryMessage::Row(row) => row.try_get(0).is_ok_and(|is| is == Some("on")),
                _ => false,
            });
            if read_only {
                drop(Connection::take(db));
                self.inner.retain(|_, _| false);
                return Err(StoreError::Connect("the database server is read-only".into()));
            }
            Ok(())
        };
        tokio::time::timeout(ACQUIRE_TIMEOUT, ask)
            .await
            .unwrap_or_else(|elapsed| Err(StoreError::Connect(elapsed.into())))
    }
}

/// A value of a server option: spaces end it and backslashes escape (`libpq`, "options").
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if letter.is_ascii_whitespace() || letter == '\\' {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Drives a connection until it ends, which its client notices.
async fn pass_on<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    mut hear: impl FnMut(&str) + Send,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message {
            hear(notification.payload());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rel_14_a_flood_of_questions_asks_the_database_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let config = workload_config::Config::parse(|name| match name {
            "DB_HOST" => Some("127.0.0.1".into()),
            "DB_PORT" => Some(port.clone()),
            "DB_DISABLE_TLS" => Some("true".into()),
            _ => None,
        });
        let pool = Pool::new(&config.unwrap().database).unwrap();
        // A database that takes connections and says nothing.
        let asked = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok(Ok((connection, _))) =
                tokio::time::timeout(2 * ACQUIRE_TIMEOUT, listener.accept()).await
            {
                connections.push(connection);
            }
            connections.len()
        });
        let mut questions = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let pool = pool.clone();
            questions.spawn(async move { pool.answers().await.is_err() });
        }
        assert!(questions.join_all().await.into_iter().all(|refused| refused));
        let asked = asked.await.unwrap();
        assert!((1..10).contains(&asked), "{asked} connections for 1,000 questions");
    }
}
