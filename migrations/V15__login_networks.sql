-- Where people have logged in from, so that a login from elsewhere is noticed: an IPv4 address, or the first 64 bits of an IPv6 one.
CREATE TABLE login_networks (
    identity_id bigint      NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    network     text        NOT NULL,
    last_login  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (identity_id, network)
);
