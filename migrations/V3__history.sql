-- What became of each cluster over time, for charts.
--
-- A series has one row per cluster and interval, and a fixed number of slots per cluster: the row of an interval overwrites the
-- one that had its slot a round ago. So the table's size is bounded by construction and nothing ever has to be thinned by
-- deleting. Heartbeats write the finest series; each coarser one is made from the next finer one when an interval is over.
CREATE TABLE history_series (
    step_seconds   smallint    PRIMARY KEY CHECK (step_seconds > 0),
    slots          smallint    NOT NULL CHECK (slots > 0),
    -- The intervals that ended by then are in the series; later ones are still being made.
    complete_until timestamptz NOT NULL
);
INSERT INTO history_series
     SELECT step, slots, date_bin(make_interval(secs => step), now(), 'epoch')
       FROM (VALUES (60, 1440), (1800, 1440), (21600, 1460)) AS series (step, slots);
ANALYZE history_series; -- so that the planner knows how few they are

CREATE TABLE remote_cluster_history (
    -- No reference to remote_clusters: a heartbeat would lock the cluster's row for it. The trigger below does its work.
    remote_cluster_id bigint      NOT NULL,
    -- Beginning of the interval.
    at                timestamptz NOT NULL,
    step_seconds      smallint    NOT NULL,
    slot              smallint    NOT NULL,
    heartbeats        smallint    NOT NULL,
    -- Averages over the interval's heartbeats, and the highest of them.
    memory_avg        real        NOT NULL,
    memory_max        real        NOT NULL,
    memory_total      real        NOT NULL,
    load_avg          real,
    load_max          real,
    members_avg       real        NOT NULL,
    members_max       real        NOT NULL,
    instances_avg     real        NOT NULL,
    instances_max     real        NOT NULL,
    -- Storage by pool name: {"local": [used percent of the whole pool, used percent of its fullest member]}.
    -- As json, which takes half the room of jsonb here.
    pools             json        NOT NULL DEFAULT '{}',
    -- All clusters of an interval lie together: heartbeats write to a few warm pages, however many clusters there are.
    PRIMARY KEY (step_seconds, slot, remote_cluster_id)
) WITH (fillfactor = 85); -- an overwritten row stays on its page and touches no index

-- A removed cluster leaves no history behind. By then the cascade has removed its details, so no heartbeat can add to it.
CREATE FUNCTION forget_history() RETURNS trigger LANGUAGE plpgsql SET search_path = cluster_manager AS $$
BEGIN
    DELETE FROM remote_cluster_history AS history
          USING (SELECT step_seconds, generate_series(0, slots - 1) AS slot FROM history_series) AS every
          WHERE history.step_seconds = every.step_seconds AND history.slot = every.slot
            AND history.remote_cluster_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER remote_clusters_forget_history AFTER DELETE ON remote_clusters
    FOR EACH ROW EXECUTE FUNCTION forget_history();
