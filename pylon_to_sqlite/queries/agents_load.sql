-- Agents' load
-- Open issues of each of us: how many, how many are new or wait for us by their state (whoever wrote
-- last; waiting_for_us goes by that), and how old the oldest is, in days up to the last sync.
-- chart: bar agent:nominal open_issues:quantitative
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
ours(state) AS (
  SELECT 'new' UNION SELECT 'waiting_on_you' UNION
  SELECT s.slug FROM issue_statuses AS s WHERE s.category IN ('new', 'waiting_on_you')
),
backlog AS MATERIALIZED (
  SELECT i.assignee_id, i.state, i.created_at
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.state, '') NOT IN closed
),
counted AS (
  SELECT
    b.assignee_id AS agent_id,
    count(*) AS issues,
    count(*) FILTER (WHERE b.state IN ours) AS for_us,
    min(b.created_at) AS oldest
  FROM backlog AS b
  GROUP BY b.assignee_id
)
SELECT
  coalesce(
    (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = n.agent_id), n.agent_id, 'nobody'
  ) AS agent,
  n.issues AS open_issues,
  n.for_us AS new_or_waiting_for_us,
  n.oldest AS oldest_opened,
  round(julianday(clock.at) - julianday(n.oldest), 1) AS oldest_days
FROM clock, counted AS n
ORDER BY n.issues DESC, 1
