//! How the deployment stands, for the command line.

use serde::Serialize;

use crate::domain::Error;
use crate::domain::clusters;
use crate::domain::freshness::Freshness;
use crate::store::{Pool, newest_version, status};

pub use crate::store::status::{ConnectedService, LastTakeover};

/// How the deployment stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Version of PostgreSQL.
    pub postgresql: String,
    /// Version of the schema in the database; null when there is none yet.
    pub schema_version: Option<i32>,
    /// Version of the schema that this program needs.
    pub newest_schema_version: i32,
    /// What there is in the schema; null unless the schema is the one that this program needs.
    pub content: Option<Content>,
    /// Services that hold connections to the database.
    pub services: Vec<ConnectedService>,
}

/// What there is.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    /// Number of clusters by state.
    pub clusters: Clusters,
    /// Join tokens that nobody used yet and that did not expire.
    pub pending_join_tokens: i64,
    /// Sessions of operators that did not end.
    pub sessions: i64,
    /// The last takeover of an earlier product's database.
    pub last_takeover: Option<LastTakeover>,
}

/// Number of clusters by state.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Clusters {
    /// All of them.
    pub total: i64,
    /// See [`Freshness::Online`].
    pub online: i64,
    /// See [`Freshness::Waiting`].
    pub waiting: i64,
    /// See [`Freshness::Stale`].
    pub stale: i64,
    /// See [`Freshness::Never`].
    pub never: i64,
    /// See [`Freshness::Offline`].
    pub offline: i64,
}

impl Status {
    /// Whether the schema is the one that this program needs.
    #[must_use]
    pub fn schema_is_current(&self) -> bool {
        self.schema_version == Some(self.newest_schema_version)
    }
}

/// Looks at the database.
///
/// # Errors
///
/// [`Error::Store`] without an answer from it.
pub async fn look(pool: &Pool) -> Result<Status, Error> {
    let db = pool.get().await?;
    let mut status = Status {
        postgresql: status::postgresql_version(&db).await?,
        schema_version: status::schema_version(&db).await?,
        newest_schema_version: newest_version(),
        content: None,
        services: status::connected_services(&db).await?,
    };
    if status.schema_is_current() {
        let counts = status::counts(&db).await?;
        let last_takeover = status::last_takeover(&db).await?;
        drop(db);
        let by_state = clusters::count_by_state(pool).await?;
        let count = |state| {
            by_state.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count)
        };
        status.content = Some(Content {
            clusters: Clusters {
                total: by_state.iter().map(|(_, count)| count).sum(),
                online: count(Freshness::Online),
                waiting: count(Freshness::Waiting),
                stale: count(Freshness::Stale),
                never: count(Freshness::Never),
                offline: count(Freshness::Offline),
            },
            pending_join_tokens: counts.pending_join_tokens,
            sessions: counts.sessions,
            last_takeover,
        });
    }
    Ok(status)
}
