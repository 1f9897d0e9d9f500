-- What was taken over from a database of the earlier Cluster Manager, whose own tables (in the schema public) are only read.

CREATE TABLE takeovers (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT now(),
    program_version text        NOT NULL,
    -- Schema version of the earlier product; null where its bookkeeping is missing.
    schema_version  bigint,
    -- The report without its single rows.
    report          jsonb       NOT NULL
);

-- Each row of the earlier tables that was looked at, once: a row that was copied is never copied again, even if the cluster was
-- removed here since.
CREATE TABLE takeover_rows (
    kind        text   NOT NULL CHECK (kind IN ('cluster', 'token')),
    source_id   bigint NOT NULL,
    takeover_id bigint NOT NULL REFERENCES takeovers (id),
    name        text   NOT NULL,
    outcome     text   NOT NULL CHECK (outcome IN ('copied', 'left', 'refused')),
    reason      text,
    PRIMARY KEY (kind, source_id)
);
