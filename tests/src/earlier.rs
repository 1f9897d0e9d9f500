use std::path::Path;

use cluster_simulator::{Identity, TokenBody};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::Client;

use crate::{Deployment, TestDatabase};

/// The database of a deployment as the earlier Cluster Manager left it, in one of its schema versions.
pub struct Earlier {
    db: Client,
    database: TestDatabase,
}

impl Earlier {
    /// Files of `tests/fixtures/takeover` that lead to each schema that was ever in use, with a name for it.
    pub const SCHEMAS: [(&'static str, &'static [&'static str]); 10] = [
        ("version 4", &["version-1", "version-2", "version-3", "version-4"]),
        ("version 3", &["version-1", "version-2", "version-3"]),
        ("version 2", &["version-1", "version-2"]),
        ("version 1", &["version-1"]),
        ("before February 2026", &["version-1", "before-2026-02"]),
        ("before December 2025", &["version-1", "before-2026-02", "before-2025-12"]),
        (
            "thresholds as columns",
            &["version-1", "before-2026-02", "before-2025-12", "thresholds-2025-06"],
        ),
        ("before June 2025", &["version-1", "before-2026-02", "before-2025-12", "before-2025-06"]),
        (
            "before 28 March 2025",
            &[
                "version-1",
                "before-2026-02",
                "before-2025-12",
                "before-2025-06",
                "before-2025-03-28",
            ],
        ),
        (
            "before 12 March 2025",
            &[
                "version-1",
                "before-2026-02",
                "before-2025-12",
                "before-2025-06",
                "before-2025-03-28",
                "before-2025-03-12",
            ],
        ),
    ];

    /// Makes the tables of version 4.
    pub async fn new(deployment: &Deployment) -> Self {
        Self::with_schema(deployment, Self::SCHEMAS[0].1).await
    }

    /// Makes the tables by running files of `tests/fixtures/takeover`.
    pub async fn with_schema(deployment: &Deployment, files: &[&str]) -> Self {
        let database = deployment.database.clone();
        let db = database.connect().await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/takeover");
        for file in files {
            let sql = std::fs::read_to_string(folder.join(format!("{file}.sql"))).unwrap();
            db.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{file}: {error:?}"));
        }
        db.batch_execute("SET search_path = public").await.unwrap();
        Self { db, database }
    }

    /// A cluster that joined in March and reported a minute ago, as far as the schema can say so; the answer is its id.
    pub async fn cluster(&self, name: &str, certificate: &str) -> i32 {
        const CLUSTER: &str = "
            INSERT INTO remote_clusters (name, status, cluster_certificate, created_at, joined_at, updated_at)
                 VALUES ($1, 'ACTIVE', $2, '0001-01-01', now() - interval '1 min', now()) RETURNING id";
        const DETAILS: &str = r#"
            INSERT INTO remote_cluster_details
                        (remote_cluster_id, cpu_load_1, cpu_load_5, cpu_load_15, memory_total_amount, memory_usage,
                         instance_count, instance_statuses, member_count, member_statuses, ui_url, created_at, updated_at)
                 VALUES ($1, '0.50', '0.40', '0.30', 274877906944, 68719476736, 7,
                         '[{"status": "Running", "count": 5}, {"status": "Stopped", "count": 2}]', 3,
                         '[{"status": "Online", "count": 3}]', 'https://10.40.7.11:8443', '2026-03-01T09:00:00Z',
                         now() - interval '1 min')"#;
        let row = self.db.query_one(CLUSTER, &[&name, &certificate]).await.unwrap();
        let id: i32 = row.try_get(0).unwrap();
        self.db.execute(DETAILS, &[&id]).await.unwrap();
        id
    }

    /// A cluster with a certificate of its own, whose members go on with it.
    pub async fn enrolled(&self, name: &str) -> Identity {
        let identity = Identity::generate("earlier").unwrap();
        self.cluster(name, &identity.certificate_pem()).await;
        identity
    }

    /// A pending token with any text.
    pub async fn raw_token(&self, name: &str, text: &str) {
        const SQL: &str = "INSERT INTO remote_cluster_tokens (encoded_token, cluster_name, expiry)
                                VALUES ($1, $2, now() + interval '1 day')";
        self.db.execute(SQL, &[&text, &name]).await.unwrap();
    }

    /// A pending token for the connector of a deployment; the answer is its text.
    pub async fn token(&self, deployment: &Deployment, name: &str) -> String {
        let text = Self::token_text(deployment, name);
        self.raw_token(name, &text).await;
        text
    }

    /// The text of a token for the connector of a deployment.
    #[must_use]
    pub fn token_text(deployment: &Deployment, name: &str) -> String {
        let file = deployment.directory().join("tls/connector/tls.crt");
        let pem = std::fs::read_to_string(file).unwrap();
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let random = uuid::Uuid::now_v7().simple();
        let body = TokenBody {
            secret: format!("{random}{random}"),
            expires_at: Some("2126-01-01T00:00:00Z".into()),
            addresses: vec![deployment.connector_address().to_string()],
            server_name: name.into(),
            fingerprint: cluster_simulator::fingerprint(&leaf),
        };
        body.encode()
    }

    /// Runs statements with the earlier product's tables in sight.
    pub async fn execute(&self, sql: &str) {
        self.db.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Every row of every table of the earlier product, with its place and the transaction that wrote it: two equal answers
    /// mean that nobody wrote to them.
    pub async fn dump(&self) -> String {
        self.database.dump_of("public", ", ctid::text, xmin::text").await
    }
}
