-- The auditor's questions. Each view reads current verdicts only, so a redelivery or a revision counts nothing twice.

CREATE OR REPLACE VIEW trigger_quality AS
SELECT
  tenant, toDate(time) AS day, policy, trigger_reason, action,
  count() AS actions,
  countIf(verdict IN ('verified', 'unverified', 'blind')) AS triggered,
  countIf(verdict = 'exempt') AS exempted,
  countIf(verdict = 'not_required') AS not_required,
  countIf(policy != '' AND trigger_reason IN ('', 'unknown')) AS without_reason,
  countIf(verdict = 'not_required' AND sensitivity IN ('high', 'critical')) AS gap_sensitive,
  countIf(verdict = 'not_required' AND decision_result = 'required') AS gap_application_required,
  countIf(policy != '' AND decision_result IN ('not_required', 'exempt')) AS application_disagrees,
  countIf(notEmpty(notes)) AS with_condition_errors,
  round(100 * triggered / actions, 3) AS triggered_percent
FROM audit_current
GROUP BY tenant, day, policy, trigger_reason, action
COMMENT 'Were triggers appropriately defined? By tenant, day (UTC), policy and action: how often step-up was asked for, and where the definition has holes.';

CREATE OR REPLACE VIEW bypasses AS
SELECT
  multiIf(verdict = 'not_required', 'policy_gap', verdict) AS bypass,
  tenant, time, subject, on_behalf_of, source, action_id, action, resource_type, resource_id, sensitivity, outcome,
  session, client_ip, client_device, client_country, policy, trigger_reason, verdict, reason, failed, nearest_miss,
  decision_result, decision_reason, claimed_verification, revision, arrival, decided_at, closes_at
FROM audit_current
WHERE outcome IN ('success', 'unknown')
  AND (verdict IN ('unverified', 'blind')
       OR verdict = 'not_required' AND (sensitivity IN ('high', 'critical') OR decision_result = 'required'))
COMMENT 'Were all high-risk actions verified? Each that took effect and was not: unverified, blind (nobody can tell), policy_gap (no policy asked).';

CREATE OR REPLACE VIEW verification_quality AS
SELECT
  tenant, toDate(time) AS day, policy, arraySort(amr) AS methods, acr, verdict, reason,
  count() AS actions,
  uniqExact(subject) AS subjects,
  quantileExactIf(0.5)(verification_age_ms, isNotNull(verification_age_ms)) AS age_median_ms,
  quantileExactIf(0.95)(verification_age_ms, isNotNull(verification_age_ms)) AS age_p95_ms,
  max(verification_age_ms) AS age_max_ms
FROM audit_current
WHERE verdict IN ('verified', 'unverified', 'blind')
GROUP BY tenant, day, policy, methods, acr, verdict, reason
COMMENT 'Were users verified properly? By tenant, day (UTC) and policy: by which methods, how fresh the proof was, and what was wrong with the rest.';

-- audit and not audit_current for the actions: it is sorted by subject, and predicates on the group reach its key.
CREATE OR REPLACE VIEW subject_timeline AS
SELECT
  tenant, subject, argMax(audit.time, standing) AS time, 'action' AS kind, argMax(action, standing) AS what,
  argMax(concat(verdict, ' (', reason, ')'), standing) AS result, argMax(audit.session, standing) AS session,
  source, action_id AS id, argMax(nearest_miss, standing) AS detail
FROM audit GROUP BY tenant, subject, source, action_id
UNION ALL
SELECT
  tenant, subject, time, 'authentication', type,
  multiIf(failure != '', failure, notEmpty(amr), arrayStringConcat(amr, '+'), credential_change != '', credential_change, reason),
  session, source, event_id, credential
FROM authentications FINAL
UNION ALL
SELECT
  tenant, subject, updated_at, 'alert', kind,
  concat(severity, ' ', state, if(resolved_by = '', '', concat(' by ', resolved_by))), '', 'stepwatch', alert_id, title
FROM alerts FINAL
COMMENT 'What happened around one subject, in order: actions with their verdict, authentications, alerts. Ask with tenant and subject.';
