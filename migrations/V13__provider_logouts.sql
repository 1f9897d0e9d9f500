-- Sessions end when the identity provider says that they did there (OpenID Connect Back-Channel Logout 1.0).
ALTER TABLE sessions ADD COLUMN provider_session text; -- the claim `sid` of the ID token; null where the provider gives none
-- What providers have said of late: each thing counts once.
CREATE TABLE provider_logouts (
    issuer     text        NOT NULL,
    id         text        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, id)
);
