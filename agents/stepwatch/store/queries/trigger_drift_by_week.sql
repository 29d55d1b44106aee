-- Do the policies ask as often as in the weeks before?
--
-- Part: triggers
-- Purpose: drift: how large a share of all actions each policy asked a proof for, week by week.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   week | Monday of the week (UTC)
--   policy | id of the policy
--   triggered | actions that it asked a proof for
--   all_actions | all actions of that week
--   percent | triggered of all actions
--   percent_before | the same, of the week before in which the policy matched anything; NULL for the first
--   change | percentage points from one to the other
-- Read it so: a fall to nothing after a release is a trigger that broke; a jump is a policy that matches more than
--     was meant. The first and the last week may be cut by the period.
SELECT
  week, policy, triggered, all_actions, round(100 * triggered / all_actions, 2) AS percent,
  lagInFrame(toNullable(percent)) OVER (
    PARTITION BY policy ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS percent_before,
  round(percent - percent_before, 2) AS change
FROM (
  SELECT week, policy, triggered, sum(matched) OVER (PARTITION BY week) AS all_actions
  FROM (
    SELECT
      toMonday(time) AS week, policy, count() AS matched,
      countIf(verdict IN ('verified', 'unverified', 'blind')) AS triggered
    FROM audit_current
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    GROUP BY week, policy
  )
)
WHERE policy != ''
ORDER BY policy, week
