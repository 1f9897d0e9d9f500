-- Sessions are verified with the identity provider at least every 15 minutes. `verifying_until` is the lease of whoever does that
-- now, on whichever unit; nobody tries before `verify_not_before` after the provider did not answer. Both are null at rest.
ALTER TABLE sessions
    ADD COLUMN verifying_until   timestamptz,
    ADD COLUMN verify_not_before timestamptz,
    -- What people see of a session, and end it by; the hash of its id stays in here.
    ADD COLUMN public_id         uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Where the login came from: address and browser, for telling one's sessions apart.
    ADD COLUMN source            text NOT NULL DEFAULT '',
    ADD COLUMN user_agent        text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX sessions_public_id ON sessions (public_id);
