-- By which methods do people prove themselves, and do their proofs cover anything?
--
-- Part: people
-- Purpose: all proofs, those too that no action relied on.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   source | who proved it
--   kind | step_up or login
--   methods | methods of the proof (RFC 8176), sorted
--   acr | of the proof
--   proofs | how many, two reports of one proof counted once
--   subjects | whose they were
--   covered | of these, those that cover at least one action of the period
-- Read it so: proofs that cover nothing are step-ups for what no policy asks, or proofs whose subject, session or
--     source does not match: never_matched_subjects.
SELECT source, kind, methods, acr, proofs, subjects, covered
FROM (
  SELECT
    said, count() AS proofs, uniqExact(whose) AS subjects,
    countIf(
      proof IN (
        SELECT sipHash128(tenant, subject, verification)
        FROM audit_current
        WHERE ({tenant:String} = '' OR tenant = {tenant:String})
          AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
          AND verdict = 'verified'
      )
    ) AS covered
  FROM (
    -- One proof is one tenant, subject and id. Hashes stand for texts: a month has more proofs than texts fit.
    SELECT
      sipHash128(tenant, subject, if(verification = '', event_id, verification)) AS proof,
      any(sipHash128(subject)) AS whose, argMin(sipHash64(source, type, arraySort(amr), acr), time) AS said
    FROM authentications_current
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
      AND proved_at IS NOT NULL
    GROUP BY proof
  )
  GROUP BY said
) AS counted
INNER JOIN (
  SELECT DISTINCT
    sipHash64(source, type, arraySort(amr), acr) AS said, source,
    if(type = 'session.started', 'login', 'step_up') AS kind, arraySort(amr) AS methods, acr
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND proved_at IS NOT NULL
) AS texts USING (said)
ORDER BY proofs DESC, source, kind, methods, acr
LIMIT 1000
