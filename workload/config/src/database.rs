//! The database settings.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::Reader;

/// Each is tried in turn within the time that a caller waits for a connection.
const MAX_SERVERS: usize = 8;

/// What a right `DB_HOST` looks like.
const HOSTS: &str =
    "a host, a host and a port joined by a colon, or up to 8 of them separated by commas";

/// Where PostgreSQL is and how to log in.
#[derive(Debug, Clone)]
pub struct Database {
    /// `DB_HOST`: where the servers are, at least one; the first that can be written to is used.
    pub servers: Vec<DatabaseServer>,
    /// `DB_USER`.
    pub user: String,
    /// `DB_PASSWORD` or `DB_PASSWORD_FILE`.
    pub password: SecretString,
    /// `DB_NAME`.
    pub name: String,
    /// `DB_ROLE`: the role that the services run as, a member of which `user` is; `None`: as `user`.
    pub role: Option<String>,
    /// `DB_MAX_OPEN`: the most connections that one service opens, at least 1, default 10.
    pub max_open: usize,
    /// `DB_MAX_IDLE`: shown to operators; idle connections are kept up to `max_open`.
    pub max_idle: usize,
    /// How the connection is protected.
    pub tls: DatabaseTls,
}

/// One server: a host, and the port beside it in `DB_HOST`, else `DB_PORT`, else 5432.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseServer {
    /// Where it is.
    pub host: DatabaseHost,
    /// The port.
    pub port: u16,
}

/// A network host or a local socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseHost {
    /// Name or address.
    Tcp(String),
    /// Directory of the Unix socket.
    Socket(PathBuf),
}

/// Protection of the connection. "Encrypted but not verified" does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseTls {
    /// No TLS: only on request (`DB_DISABLE_TLS=true`) and on Unix sockets.
    Disabled,
    /// TLS with the server's certificate and host name checked, against `DB_CA_FILE` or the machine's trust store.
    VerifyFull {
        /// PEM file with the authorities to trust.
        ca_file: Option<PathBuf>,
    },
}

impl Database {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        let hosts = read.text("DB_HOST").unwrap_or_else(|| "db-svc".into());
        let port = read.parsed("DB_PORT", 5432, "a port, 1 to 65535");
        let servers = servers(&hosts, port, read);
        let on_socket = servers.iter().any(|server| matches!(server.host, DatabaseHost::Socket(_)));
        let disabled = read.boolean("DB_DISABLE_TLS", false);
        let ca_file = read.text("DB_CA_FILE").map(PathBuf::from);
        let max_open = read.parsed("DB_MAX_OPEN", 10, "a whole number, at least 1");
        if max_open == 0 {
            read.refuse("DB_MAX_OPEN", "a whole number, at least 1");
        }
        Self {
            tls: if disabled || on_socket {
                DatabaseTls::Disabled
            } else {
                DatabaseTls::VerifyFull { ca_file }
            },
            servers,
            user: read.text("DB_USER").unwrap_or_else(|| "admin".into()),
            password: read.secret("DB_PASSWORD").unwrap_or_default(),
            name: read.text("DB_NAME").unwrap_or_else(|| "cm".into()),
            role: role(read),
            max_open,
            max_idle: read.parsed("DB_MAX_IDLE", 10, "a whole number"),
        }
    }

    /// The connection as a URL for people, the password masked.
    #[must_use]
    pub fn masked_url(&self) -> String {
        let mode = if self.tls == DatabaseTls::Disabled { "disable" } else { "verify-full" };
        let servers = self.servers.iter().map(|DatabaseServer { host, port }| match host {
            DatabaseHost::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
            DatabaseHost::Tcp(host) => format!("{host}:{port}"),
            DatabaseHost::Socket(path) => {
                format!("{}:{port}", path.display().to_string().replace('/', "%2F"))
            }
        });
        let servers = servers.collect::<Vec<_>>().join(",");
        format!("postgresql://{}:***@{servers}/{}?sslmode={mode}", self.user, self.name)
    }
}

/// PostgreSQL would cut a longer name and take that for another role.
fn role(read: &mut Reader<'_>) -> Option<String> {
    let role = read.text("DB_ROLE")?;
    if role.len() > 63 || role.chars().any(char::is_control) {
        read.refuse("DB_ROLE", "the name of a role, 63 bytes at most");
    }
    Some(role)
}

/// The directory of one socket, or hosts with commas between them.
fn servers(text: &str, port: u16, read: &mut Reader<'_>) -> Vec<DatabaseServer> {
    if text.starts_with('/') {
        return vec![DatabaseServer { host: DatabaseHost::Socket(text.into()), port }];
    }
    let mut servers = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (host, port) = split_port(part, port, read);
        if host.is_empty() || host.starts_with('/') {
            read.refuse("DB_HOST", HOSTS);
        }
        let server = DatabaseServer { host: DatabaseHost::Tcp(host), port };
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    if servers.len() > MAX_SERVERS {
        read.refuse("DB_HOST", HOSTS);
    }
    servers
}

/// Splits `host:port` and `[address]:port`; a bare IPv6 address has no port.
fn split_port(host: &str, default: u16, read: &mut Reader<'_>) -> (String, u16) {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, Some(port)),
            _ => (host, None),
        },
    };
    let port = port.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| {
            read.refuse("DB_HOST", HOSTS);
            default
        })
    });
    (name.to_owned(), port)
}
