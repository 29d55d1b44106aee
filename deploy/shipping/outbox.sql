-- An application's events in its own transaction: a row is there if and only if the deed is (transactional outbox).
-- PostgreSQL; `kafka-connect-outbox.json` ships it.
create table stepwatch_outbox (
    id uuid primary key default gen_random_uuid(),
    -- 'actions' or 'authentications': the topic without its prefix.
    topic text not null check (topic in ('actions', 'authentications')),
    -- tenant/subject, with the canonical subject.
    record_key text not null check (record_key ~ '^[A-Za-z0-9._-]{1,64}/.'),
    -- The CloudEvent. `text`, not `jsonb`: the bytes that were written are the bytes that are sent.
    event text not null
);

-- Shipped rows may go at any time: what is read is the write-ahead log, and deletions are not sent.
--   delete from stepwatch_outbox where id = ...
