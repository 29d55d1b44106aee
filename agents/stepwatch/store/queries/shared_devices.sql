-- Which devices act for more than one subject?
--
-- Part: investigate
-- Purpose: one device for several people is a shared desk, or one intruder.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subjects
--   device | id of the device
--   subjects | who acted by it
--   actions | how many policed actions
--   unverified | of these, those that no proof covers
--   first | when the first was
--   last | when the last was
-- Read it so: a shared desk has its people over months; an intruder has them within the hour.
SELECT
  tenant, client_device AS device, arraySort(groupUniqArray(100)(subject)) AS subjects, count() AS actions,
  countIf(verdict = 'unverified') AS unverified, min(time) AS first, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND policy != '' AND client_device != ''
GROUP BY tenant, device
HAVING length(subjects) > 1
ORDER BY length(subjects) DESC, tenant, device
LIMIT 1000
