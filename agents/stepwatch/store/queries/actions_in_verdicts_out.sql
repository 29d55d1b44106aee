-- Has every action that came in exactly one verdict?
--
-- Part: accounting
-- Purpose: the count check: actions in = verdicts out, and no revision is missing.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the actions
--   day | UTC, of the action
--   actions_in | different actions in the table of all revisions
--   verdicts_out | current verdicts
--   difference | the one less the other: 0
--   without_event | actions whose first revision, which has the event as sent, is missing: 0
--   missing_revisions | revisions that are missing between the first and the last: 0
-- Read it so: anything but 0 in the last three is a defect of ours: rebuild the tables from the topics, and report
--     it. That each record of the topics came to one of these rows is checked by `stepwatch doctor --account`.
SELECT
  tenant, day, firsts + without_event AS actions_in, verdicts_out, actions_in - verdicts_out AS difference,
  without_event, revisions_said - revisions AS missing_revisions
FROM (
  SELECT tenant, toDate(time) AS day, toInt64(countIf(revision = 1)) AS firsts, toInt64(count()) AS revisions
  FROM audit FINAL
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  GROUP BY tenant, day
) AS came
LEFT JOIN (
  -- Only an action that was revised can lack its first row, and few were.
  SELECT tenant, day, toInt64(count()) AS without_event
  FROM (
    SELECT tenant, toDate(time) AS day, subject, source, action_id
    FROM audit
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
      AND (tenant, time) IN (
        SELECT tenant, time FROM audit
        WHERE ({tenant:String} = '' OR tenant = {tenant:String})
          AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
          AND revision > 1
      )
    GROUP BY tenant, day, subject, source, action_id
    HAVING min(revision) > 1
  )
  GROUP BY tenant, day
) AS lone USING (tenant, day)
FULL JOIN (
  SELECT tenant, toDate(time) AS day, toInt64(count()) AS verdicts_out, toInt64(sum(revision)) AS revisions_said
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  GROUP BY tenant, day
) AS judged USING (tenant, day)
ORDER BY tenant, day
