-- Which policies asked nobody for a proof?
--
-- Part: triggers
-- Purpose: finds policies that match nothing any more (a renamed action), that exempt all, or that were never seen.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | policies that did not fire at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   seen_since | DateTime64(6, 'UTC') | 365d before since | policies are known that matched an action since then
--   known | Array(String) | [] | ids of policies that exist, with commas between, so that one never seen is found
--       too
-- Columns (name | meaning):
--   policy | id of the policy
--   actions | actions in the period that it matched
--   exempted | those that its exemption let pass
--   last_triggered | when it last asked for a proof; NULL where never since seen_since
--   why | only_exemptions, not_in_this_period or never_seen
-- Read it so: not_in_this_period may be a rare action or a renamed one: compare coverage_by_action. `stepwatch
--     report --policy` gives the ids of the policies' text to `known` by itself.
SELECT
  policy, sum(matched) AS actions, sum(let_pass) AS exempted, max(fired_at) AS last_triggered,
  multiIf(actions > 0, 'only_exemptions', max(seen), 'not_in_this_period', 'never_seen') AS why
FROM (
  SELECT
    policy,
    count() AS matched,
    countIf(verdict IN ('verified', 'unverified', 'blind')) AS fired,
    countIf(verdict = 'exempt') AS let_pass,
    maxOrNullIf(time, verdict IN ('verified', 'unverified', 'blind')) AS fired_at,
    1 AS seen
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND policy != ''
  GROUP BY policy
  UNION ALL
  -- Of the time before only whether and when: no revision makes an exempt action one that needs a proof, nor back, so
  -- every row says the same, and the year need not be merged.
  SELECT
    policy, 0, 0, 0, maxOrNullIf(time, verdict IN ('verified', 'unverified', 'blind')), 1
  FROM audit_latest
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {seen_since:DateTime64(6, 'UTC')} AND time < {since:DateTime64(6, 'UTC')}
    AND policy != ''
  GROUP BY policy
  UNION ALL
  SELECT arrayJoin({known:Array(String)}), 0, 0, 0, NULL, 0
)
GROUP BY policy
HAVING sum(fired) = 0
ORDER BY why, policy
