-- Units that hold tunnels. A unit renews its row every ten seconds; all its tunnels live as long as the row does, so renewing
-- ten thousand tunnels costs one update. The proof is a MAC over id and address under a key that only units have: an address
-- that no unit wrote is never connected to.
CREATE TABLE units (
    id          uuid        PRIMARY KEY,
    hop_address text        NOT NULL,
    proof       bytea       NOT NULL CHECK (octet_length(proof) = 32),
    started_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);

-- Which unit holds the tunnel of a cluster. The generation grows with every socket of a cluster: what is older gives way, and
-- a unit renews and clears only what it wrote itself. The fingerprint is the certificate that opened the socket.
CREATE SEQUENCE tunnel_generations;
CREATE TABLE tunnels (
    remote_cluster_id bigint      PRIMARY KEY REFERENCES remote_clusters (id) ON DELETE CASCADE,
    unit_id           uuid        NOT NULL REFERENCES units (id) ON DELETE CASCADE,
    generation        bigint      NOT NULL,
    fingerprint       bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    opened_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tunnels_unit_id ON tunnels (unit_id);

-- The access token of an operator, sealed as the other tokens of the session are; only kept where it is forwarded to clusters.
ALTER TABLE sessions ADD COLUMN access_token_sealed bytea;

-- Units that hold a tunnel look at once when its cluster is removed, changes its certificate, or opens one elsewhere.
CREATE FUNCTION notify_tunnel_holders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('cluster_manager_tunnels', to_jsonb(OLD) ->> TG_ARGV[0]);
    RETURN NULL;
END
$$;
CREATE TRIGGER remote_clusters_removed
    AFTER DELETE ON remote_clusters
    FOR EACH ROW EXECUTE FUNCTION notify_tunnel_holders('id');
CREATE TRIGGER remote_clusters_certificate
    AFTER UPDATE OF fingerprint ON remote_clusters
    FOR EACH ROW WHEN (OLD.fingerprint IS DISTINCT FROM NEW.fingerprint)
    EXECUTE FUNCTION notify_tunnel_holders('id');
CREATE TRIGGER tunnels_taken_over
    AFTER UPDATE OF unit_id ON tunnels
    FOR EACH ROW WHEN (OLD.unit_id IS DISTINCT FROM NEW.unit_id)
    EXECUTE FUNCTION notify_tunnel_holders('remote_cluster_id');
