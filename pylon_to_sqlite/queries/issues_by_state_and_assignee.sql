-- Issues by state and assignee
-- How many issues each of us has in each state, and since when the oldest waits. Closed ones are
-- left out unless closed is 1.
SELECT
  coalesce(s.label, i.state) AS state,
  coalesce(u.name, u.email, i.assignee_id, 'nobody') AS assignee,
  count(*) AS issues,
  min(i.created_at) AS oldest_opened,
  min(i.latest_message_time) AS longest_without_message
FROM issues AS i
LEFT JOIN issue_statuses AS s ON s.slug = i.state
LEFT JOIN users AS u ON u.id = i.assignee_id
WHERE i.deleted_at IS NULL AND i.placeholder = 0
  AND (
    :closed = '1' OR coalesce(i.state, '') NOT IN (
      SELECT 'closed' UNION SELECT c.slug FROM issue_statuses AS c WHERE c.category = 'closed'
    )
  )
GROUP BY i.state, i.assignee_id
ORDER BY issues DESC, state, assignee
