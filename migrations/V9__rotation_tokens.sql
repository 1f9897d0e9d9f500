-- A token that gives an enrolled cluster another certificate instead of enrolling a new one. It goes with its cluster.
ALTER TABLE join_tokens ADD COLUMN replaces_cluster_id bigint REFERENCES remote_clusters (id) ON DELETE CASCADE;
CREATE INDEX join_tokens_replaces_cluster_id ON join_tokens (replaces_cluster_id) WHERE replaces_cluster_id IS NOT NULL;
