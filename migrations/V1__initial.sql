-- The schema of MicroCloud Cluster Manager. It lives in a PostgreSQL schema of its own, so that a database which another
-- product filled can be taken over without touching that product's tables.
--
-- Times are timestamptz and come from the database's clock, the one clock that all units share.

-- Enrolled clusters. The identity of a cluster is the SHA-256 of its certificate's DER encoding, nothing else.
CREATE TABLE remote_clusters (
    id                     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                   text        NOT NULL UNIQUE COLLATE "C",
    -- Names that people and the metrics label `job` cannot tell apart have the same folded name.
    folded_name            text        NOT NULL GENERATED ALWAYS AS (translate(lower(name COLLATE "C"), '-', '_')) STORED,
    description            text        NOT NULL DEFAULT '',
    certificate            text        NOT NULL,
    fingerprint            bytea       NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
    certificate_not_before timestamptz NOT NULL,
    certificate_not_after  timestamptz NOT NULL,
    disk_threshold         smallint    NOT NULL DEFAULT 80 CHECK (disk_threshold BETWEEN 0 AND 100),
    memory_threshold       smallint    NOT NULL DEFAULT 80 CHECK (memory_threshold BETWEEN 0 AND 100),
    joined_at              timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX remote_clusters_folded_name ON remote_clusters (folded_name);

-- What the last heartbeat of a cluster said. Heartbeats write this table and no other, and only these columns.
CREATE TABLE remote_cluster_details (
    remote_cluster_id          bigint      PRIMARY KEY REFERENCES remote_clusters (id) ON DELETE CASCADE,
    ceph_count                 bigint      NOT NULL DEFAULT 0,
    ceph_statuses              jsonb       NOT NULL DEFAULT '[]',
    cpu_total_count            bigint      NOT NULL DEFAULT 0,
    cpu_load_1                 text        NOT NULL DEFAULT '',
    cpu_load_5                 text        NOT NULL DEFAULT '',
    cpu_load_15                text        NOT NULL DEFAULT '',
    memory_total_amount        bigint      NOT NULL DEFAULT 0,
    memory_usage               bigint      NOT NULL DEFAULT 0,
    storage_pool_usages        jsonb       NOT NULL DEFAULT '[]',
    member_count               bigint      NOT NULL DEFAULT 0,
    member_statuses            jsonb       NOT NULL DEFAULT '[]',
    instance_count             bigint      NOT NULL DEFAULT 0,
    instance_statuses          jsonb       NOT NULL DEFAULT '[]',
    ui_url                     text        NOT NULL DEFAULT '',
    -- Null until the first heartbeat. The interval is a moving average of the gaps between heartbeats.
    last_heartbeat_at          timestamptz,
    heartbeat_interval_seconds real        NOT NULL DEFAULT 60
) WITH (fillfactor = 70); -- room on the page: an update of the row touches no index

-- Join tokens. Only a hash of the token text is kept; a consumed token stays until it expires, so that a join whose
-- answer was lost can be repeated with the same certificate.
CREATE TABLE join_tokens (
    id                   uuid        PRIMARY KEY,
    cluster_name         text        NOT NULL COLLATE "C",
    folded_name          text        NOT NULL GENERATED ALWAYS AS (translate(lower(cluster_name COLLATE "C"), '-', '_')) STORED,
    description          text        NOT NULL DEFAULT '',
    token_hash           bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    expires_at           timestamptz NOT NULL,
    created_at           timestamptz NOT NULL DEFAULT now(),
    consumed_at          timestamptz,
    consumed_fingerprint bytea       CHECK (octet_length(consumed_fingerprint) = 32),
    CHECK ((consumed_at IS NULL) = (consumed_fingerprint IS NULL))
);
CREATE UNIQUE INDEX join_tokens_pending ON join_tokens (folded_name) WHERE consumed_at IS NULL;
CREATE INDEX join_tokens_cluster_name ON join_tokens (cluster_name);
CREATE INDEX join_tokens_expires_at ON join_tokens (expires_at);

-- Certificates of clusters that were removed here: such a cluster may still take its leave without an error.
CREATE TABLE removed_clusters (
    fingerprint bytea       PRIMARY KEY CHECK (octet_length(fingerprint) = 32),
    name        text        NOT NULL,
    removed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX removed_clusters_removed_at ON removed_clusters (removed_at);

-- People who logged in. OpenID Connect Core 1.0, section 2: only issuer and subject together identify a person.
CREATE TABLE identities (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issuer     text        NOT NULL,
    subject    text        NOT NULL,
    name       text        NOT NULL DEFAULT '',
    email      text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);

-- Sessions of the web UI. The session id lives in the cookie; the table has its hash. Tokens of the identity provider are
-- sealed with a key that needs the master key and the session id, so a copy of the table opens nothing.
CREATE TABLE sessions (
    id_hash               bytea       PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    identity_id           bigint      NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    groups                text[]      NOT NULL DEFAULT '{}',
    created_at            timestamptz NOT NULL DEFAULT now(),
    last_used_at          timestamptz NOT NULL DEFAULT now(),
    -- When the identity provider last vouched for the person and the groups.
    verified_at           timestamptz NOT NULL DEFAULT now(),
    expires_at            timestamptz NOT NULL,
    id_token_sealed       bytea       NOT NULL,
    refresh_token_sealed  bytea
);
CREATE INDEX sessions_identity_id ON sessions (identity_id, created_at);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
