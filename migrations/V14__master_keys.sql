-- The master keys that this database has been served with, by what stands for them and tells nothing else. Who serves it with a key
-- that follows none of these has a copy: the sessions in it are not theirs.
CREATE TABLE master_keys (
    id    text        PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
