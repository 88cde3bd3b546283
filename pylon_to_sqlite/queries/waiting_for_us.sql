-- What waits for us
-- Open issues in which the customer wrote last, and for how many hours they wait, counted up to the
-- last sync: since their first message after our last one (or a bot's). Longest first, 500 at most.
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
asked AS (
  SELECT i.id
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.state, '') NOT IN closed
    AND (
      SELECT m.author_contact_id IS NOT NULL FROM issue_messages AS m
      WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL
      ORDER BY m.timestamp DESC LIMIT 1
    )
),
answered AS (
  SELECT
    a.id,
    (
      SELECT max(m.timestamp) FROM issue_messages AS m
      WHERE m.issue_id = a.id AND m.author_contact_id IS NULL
        AND m.is_private = 0 AND m.deleted_at IS NULL
    ) AS at
  FROM asked AS a
),
waiting AS (
  SELECT
    a.id,
    (
      SELECT min(m.timestamp) FROM issue_messages AS m
      WHERE m.issue_id = a.id AND m.timestamp > coalesce(a.at, '')
        AND m.author_contact_id IS NOT NULL AND m.is_private = 0 AND m.deleted_at IS NULL
    ) AS since
  FROM answered AS a
),
longest AS (
  SELECT w.id, w.since FROM waiting AS w
  WHERE w.since IS NOT NULL
  ORDER BY w.since
  LIMIT 500
)
SELECT
  i.number,
  i.title,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS state,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee,
  (SELECT t.name FROM teams AS t WHERE t.id = i.team_id) AS team,
  w.since AS waiting_since,
  round((julianday(clock.at) - julianday(w.since)) * 24, 1) AS waiting_hours,
  i.link
FROM clock, longest AS w
JOIN issues AS i ON i.id = w.id
ORDER BY w.since, i.number
