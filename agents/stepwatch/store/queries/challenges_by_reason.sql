-- Why were people asked to prove themselves again, and how did it end?
--
-- Part: triggers
-- Purpose: tells triggers that people meet from those that they abandon, by the reason that the application gave.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   reason | why the step-up was triggered; empty where nothing was said
--   challenges | how many challenges there were, by their ids
--   verified | those that were met
--   failed | those that failed and were never met
--   denied | those that the person refused
--   abandoned | those that expired or were cancelled
--   bypassed | those that somebody let pass
--   unanswered | those of which nothing more was heard
--   verified_percent | verified of challenges
-- Read it so: a challenge is counted once, by its best end: verified, or else bypassed, denied, failed, abandoned.
--     Events without a challenge id are not here. Many unanswered ones may mean that a source does not report how
--     they end.
SELECT
  why AS reason, count() AS challenges, countIf(ended = 'verified') AS verified, countIf(ended = 'failed') AS failed,
  countIf(ended = 'denied') AS denied, countIf(ended IN ('expired', 'cancelled')) AS abandoned,
  countIf(ended = 'bypassed') AS bypassed, countIf(ended = 'unanswered') AS unanswered,
  round(100 * verified / challenges, 1) AS verified_percent
FROM (
  SELECT
    tenant, subject, challenge, min(time) AS asked, anyIf(reason, reason != '') AS why,
    multiIf(
      countIf(type = 'stepup.verified') > 0, 'verified', countIf(type = 'stepup.bypassed') > 0, 'bypassed',
      countIf(type = 'stepup.denied') > 0, 'denied', countIf(type = 'stepup.failed') > 0, 'failed',
      countIf(type = 'stepup.expired') > 0, 'expired', countIf(type = 'stepup.cancelled') > 0, 'cancelled',
      'unanswered'
    ) AS ended
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND startsWith(type, 'stepup.') AND challenge != ''
  GROUP BY tenant, subject, challenge
)
GROUP BY why
ORDER BY challenges DESC, why
