-- What operators see of the whole fleet at once.

-- Where the link to a cluster's own web UI leads instead of the address that the cluster reports; empty: there.
ALTER TABLE remote_clusters ADD COLUMN ui_url_override text NOT NULL DEFAULT '';

-- Since when a warning stands. The warnings themselves follow from the cluster's data and are never stored; a row without its
-- warning is deleted by whoever notices first.
CREATE TABLE cluster_warnings (
    remote_cluster_id bigint      NOT NULL REFERENCES remote_clusters (id) ON DELETE CASCADE,
    kind              text        NOT NULL,
    -- What the warning is about within its kind, such as a storage pool; empty where there is only one.
    subject           text        NOT NULL,
    since             timestamptz NOT NULL,
    PRIMARY KEY (remote_cluster_id, kind, subject)
);

-- The history of the fleet: one row per minute, half hour and six hours, kept as long as the history of clusters. The first unit
-- in a minute writes its row and takes it into the averages of the longer intervals.
CREATE TABLE fleet_history (
    step_seconds  smallint         NOT NULL,
    -- Beginning of the interval.
    at            timestamptz      NOT NULL,
    samples       smallint         NOT NULL,
    clusters      double precision NOT NULL,
    online        double precision NOT NULL,
    with_warnings double precision NOT NULL,
    members       double precision NOT NULL,
    instances     double precision NOT NULL,
    memory_used   double precision NOT NULL,
    memory_total  double precision NOT NULL,
    PRIMARY KEY (step_seconds, at)
);

-- Units of the Management API hear at once when a cluster is added, changed by an operator, or removed, and when the list of join
-- tokens changes. Heartbeats touch neither table and notify nobody.
CREATE FUNCTION notify_fleet_of_cluster() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('cluster_manager_fleet', 'cluster:' || OLD.id);
    ELSE
        PERFORM pg_notify('cluster_manager_fleet', 'cluster:' || NEW.id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER remote_clusters_notify_fleet AFTER INSERT OR UPDATE OR DELETE ON remote_clusters
    FOR EACH ROW EXECUTE FUNCTION notify_fleet_of_cluster();

CREATE FUNCTION notify_fleet_of_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY cluster_manager_fleet, 'tokens';
    RETURN NULL;
END $$;
CREATE TRIGGER join_tokens_notify_fleet AFTER INSERT OR UPDATE OR DELETE ON join_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet_of_tokens();
