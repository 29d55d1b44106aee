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
SELECT
  source, kind, methods, acr, count() AS proofs, uniqExact(subject) AS subjects, countIf(uses > 0) AS covered
FROM (
  SELECT
    tenant, subject, if(verification = '', event_id, verification) AS proof, argMin(source, time) AS source,
    argMin(if(type = 'session.started', 'login', 'step_up'), time) AS kind,
    argMin(arraySort(amr), time) AS methods, argMin(acr, time) AS acr
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND proved_at IS NOT NULL
  GROUP BY tenant, subject, proof
) AS proved
LEFT JOIN (
  SELECT tenant, subject, verification AS proof, count() AS uses
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verdict = 'verified'
  GROUP BY tenant, subject, proof
) AS covering USING (tenant, subject, proof)
GROUP BY source, kind, methods, acr
ORDER BY proofs DESC, source, kind, methods, acr
LIMIT 1000
