-- The history of clusters in a seventh of its room: rows only for what is still being written, packed blocks for the rest.
--
-- Nothing here waits for a lock that heartbeats hold. The previous release, which may still be running, goes on with its own tables
-- `history_series` and `remote_cluster_history`; what it writes there is read, summed up and packed like what is written here, and so
-- is everything that it wrote before. When all of that is packed and nobody has written there for two hours, a connector
-- empties `remote_cluster_history`: seven days after the update at the latest, when the last block with points of its is complete.

CREATE TABLE cluster_history_series (
    step_seconds   smallint    PRIMARY KEY CHECK (step_seconds > 0),
    -- Intervals that have a row of their own per cluster, in a ring: the row of an interval overwrites the one that had its slot a
    -- round ago. More than a block, so that a block is packed long before its rows are overwritten.
    slots          smallint    NOT NULL,
    -- Intervals of a block.
    block          smallint    NOT NULL CHECK (block < slots),
    -- Intervals that are kept, by configuration. A change of it touches this column and nothing else.
    keep           smallint    NOT NULL CHECK (keep > 0),
    -- The intervals that ended by then are in the series; later ones are still being made.
    complete_until timestamptz NOT NULL,
    -- The blocks that ended by then are packed, and of the next one the clusters with ids up to this one.
    packed_until   timestamptz NOT NULL,
    packed_cluster bigint      NOT NULL DEFAULT 0,
    -- The intervals that begin earlier may be in `remote_cluster_history`: minutes for as long as the previous release receives
    -- heartbeats, longer ones only if they were complete before there was this table.
    earlier_until  timestamptz NOT NULL
);
INSERT INTO cluster_history_series
     SELECT step_seconds, ring.slots, ring.block, earlier.slots, complete,
            date_bin(make_interval(secs => step_seconds * ring.block), now() - CASE
                WHEN EXISTS (SELECT FROM remote_cluster_history) THEN make_interval(secs => step_seconds) * earlier.slots
                ELSE interval '0' END, 'epoch'),
            0, CASE step_seconds WHEN 60 THEN 'infinity' ELSE complete END
       FROM history_series AS earlier
       JOIN (VALUES (60, 120, 60), (1800, 36, 24), (21600, 32, 28)) AS ring (step_seconds, slots, block) USING (step_seconds)
 CROSS JOIN LATERAL (SELECT least(complete_until, date_bin(make_interval(secs => step_seconds), now(), 'epoch')) AS complete) AS least;
ANALYZE cluster_history_series; -- so that the planner knows how few they are

-- The rings: like `remote_cluster_history`, whose comments say more, with fewer slots.
CREATE TABLE cluster_history (
    remote_cluster_id bigint      NOT NULL,
    at                timestamptz NOT NULL,
    step_seconds      smallint    NOT NULL,
    slot              smallint    NOT NULL,
    heartbeats        smallint    NOT NULL,
    memory_avg        real        NOT NULL,
    memory_max        real        NOT NULL,
    memory_total      real        NOT NULL,
    load_avg          real,
    load_max          real,
    members_avg       real        NOT NULL,
    members_max       real        NOT NULL,
    instances_avg     real        NOT NULL,
    instances_max     real        NOT NULL,
    pools             json        NOT NULL DEFAULT '{}',
    PRIMARY KEY (step_seconds, slot, remote_cluster_id)
) WITH (fillfactor = 85);

-- The points of one cluster within a block of intervals that are over, in the format of `store/history/block.rs`. Written once, deleted
-- with the whole block when it is older than what is kept.
CREATE TABLE cluster_history_blocks (
    remote_cluster_id bigint      NOT NULL,
    -- Beginning of the first interval.
    begin             timestamptz NOT NULL,
    step_seconds      smallint    NOT NULL,
    points            bytea       NOT NULL,
    -- What is written together lies together, at the end.
    PRIMARY KEY (step_seconds, begin, remote_cluster_id)
);

-- The rows of all clusters and series, each with the number of slots from which its own follows. A minute in which both releases
-- received heartbeats of a cluster has two.
CREATE VIEW cluster_history_rows AS
    SELECT series.slots, history.*
      FROM cluster_history_series AS series JOIN cluster_history AS history USING (step_seconds)
 UNION ALL
    SELECT earlier.slots, history.*
      FROM cluster_history_series AS series
      JOIN history_series AS earlier USING (step_seconds)
      JOIN remote_cluster_history AS history USING (step_seconds)
     WHERE history.at < series.earlier_until;

-- A removed cluster leaves no history behind. By then the cascade has removed its details, so no heartbeat can add to it, and who
-- packs a block holds on to the clusters in it.
CREATE OR REPLACE FUNCTION forget_history() RETURNS trigger LANGUAGE plpgsql SET search_path = cluster_manager AS $$
BEGIN
    DELETE FROM cluster_history AS history
          USING (SELECT step_seconds, generate_series(0, slots - 1) AS slot FROM cluster_history_series) AS every
          WHERE history.step_seconds = every.step_seconds AND history.slot = every.slot
            AND history.remote_cluster_id = OLD.id;
    DELETE FROM cluster_history_blocks AS history
          USING (SELECT step_seconds, generate_series(date_bin(length, now() - make_interval(secs => step_seconds) * keep, 'epoch') - length,
                                                      greatest(packed_until, now()), length) AS begin
                   FROM cluster_history_series, make_interval(secs => step_seconds::integer * block) AS length) AS every
          WHERE history.step_seconds = every.step_seconds AND history.begin = every.begin
            AND history.remote_cluster_id = OLD.id;
    IF pg_relation_size('remote_cluster_history') > 0 THEN
        DELETE FROM remote_cluster_history AS history
              USING (SELECT step_seconds, generate_series(0, slots - 1) AS slot FROM history_series) AS every
              WHERE history.step_seconds = every.step_seconds AND history.slot = every.slot
                AND history.remote_cluster_id = OLD.id;
    END IF;
    RETURN NULL;
END $$;
