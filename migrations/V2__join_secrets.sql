-- The secret of a pending join token, sealed: a join may be signed with it instead of carrying the token. Tokens that were made
-- before have none and serve the token form only.
ALTER TABLE join_tokens ADD COLUMN secret_sealed bytea;
