-- The services may run as a role that can read the audit log and add to it, and nothing else (DB_ROLE). So the owner says for how long
-- records are kept, and what is older is deleted with the owner's rights.
CREATE TABLE audit_retention (
    only_row boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    age      interval NOT NULL CHECK (age >= interval '1 day')
);

-- Whoever may use the schema may call it: it does what is due, and nothing else.
CREATE FUNCTION purge_audit_events() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = cluster_manager, pg_temp AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM audit_events
          WHERE id IN (SELECT id FROM audit_events
                        WHERE at <= now() - (SELECT age FROM audit_retention)
                     ORDER BY at LIMIT 10000);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
