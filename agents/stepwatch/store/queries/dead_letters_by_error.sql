-- What could not be used, and why? By error, field and topic.
SELECT error, field, kafka_topic, count() AS records, min(time) AS first, max(time) AS last
FROM dead_letters_current
WHERE time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
GROUP BY error, field, kafka_topic
ORDER BY records DESC, error, field, kafka_topic
LIMIT 200
