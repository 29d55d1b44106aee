-- One action: every revision of its verdict. FINAL, since a redelivered row is there twice until merged.
SELECT revision, decided_at, verdict, reason, policy, policy_version, verification, verification_age_ms, nearest_miss, notes
FROM audit FINAL
WHERE tenant = {tenant:String} AND source = {source:String} AND action_id = {action_id:String}
ORDER BY subject, revision
