-- Were triggers appropriately defined? By policy: how often it asked, and where its definition has holes.
SELECT
  policy, trigger_reason, sum(actions) AS actions, sum(triggered) AS triggered, sum(exempted) AS exempted,
  sum(without_reason) AS without_reason, sum(gap_sensitive) AS gap_sensitive,
  sum(gap_application_required) AS gap_application_required, sum(application_disagrees) AS application_disagrees,
  sum(with_condition_errors) AS with_condition_errors
FROM trigger_quality
WHERE tenant = {tenant:String} AND day >= toDate({from:DateTime64(6, 'UTC')}) AND day <= toDate({to:DateTime64(6, 'UTC')})
GROUP BY policy, trigger_reason
ORDER BY policy, trigger_reason
