-- Units of the Management API hear at once when a cluster's tunnel opens or closes, too: the lists that they keep say whether it is there.
CREATE FUNCTION notify_fleet_of_tunnel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('cluster_manager_fleet', 'cluster:' || OLD.remote_cluster_id);
    ELSE
        PERFORM pg_notify('cluster_manager_fleet', 'cluster:' || NEW.remote_cluster_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tunnels_notify_fleet AFTER INSERT OR UPDATE OR DELETE ON tunnels
    FOR EACH ROW EXECUTE FUNCTION notify_fleet_of_tunnel();
