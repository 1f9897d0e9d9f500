-- Who did what, from where, and what came of it. A record is written in the transaction of the change that it is about; it is never
-- changed, and deleted only when its time is over.
CREATE TABLE audit_events (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_kind text        NOT NULL CHECK (actor_kind IN ('operator', 'cluster', 'action', 'system', 'anonymous')),
    -- The subject of a person, the beginning of a cluster's fingerprint, the unit that ran an action; empty for the others.
    actor      text        NOT NULL,
    actor_name text        NOT NULL,
    source     text        NOT NULL,
    event      text        NOT NULL,
    object     text        NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('success', 'refused', 'failed')),
    request_id text        NOT NULL,
    details    jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_event ON audit_events (event, id);
CREATE INDEX audit_events_object ON audit_events (object, id);
CREATE INDEX audit_events_actor ON audit_events (actor, id);

CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at <= now() - interval '1 day' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'records of the audit log are not changed, and not deleted before their time';
END
$$;
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_stay();
CREATE TRIGGER audit_events_stay_all BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay();
