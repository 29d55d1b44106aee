-- Why do step-ups fail?
--
-- Part: people
-- Purpose: wrong, replayed and expired codes, lock-outs and the rest, by the feed that reports them.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   source | who reported it
--   failure | why it failed; empty where nothing was said
--   events | how many
--   subjects | whose they were
--   last | when the last one was
-- Read it so: replayed_code and locked_out want a look at each: `stepwatch query run subject_timeline`. error is a
--     fault of the source.
SELECT source, failure, count() AS events, uniqExact(subject) AS subjects, max(time) AS last
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND type = 'stepup.failed'
GROUP BY source, failure
ORDER BY events DESC, source, failure
