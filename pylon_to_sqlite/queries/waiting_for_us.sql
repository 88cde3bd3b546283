-- What waits for us
-- Open issues in which the customer wrote last, whatever their state, and for how many hours they
-- wait, counted up to the last sync: since their first message after our last one. A bot's answer
-- ends no waiting, nor does a private note. Longest first, 500 at most.
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
-- Who wrote last, of the customer and us; of the same second, what came later.
asked AS (
  SELECT i.id
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.state, '') NOT IN closed
    AND (
      SELECT m.author_contact_id IS NOT NULL FROM issue_messages AS m
      WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL
        AND (m.author_contact_id IS NOT NULL OR m.author_user_id IS NOT NULL)
      ORDER BY m.timestamp DESC, m.rowid DESC LIMIT 1
    )
),
answered AS (
  SELECT
    a.id,
    (
      SELECT m.rowid FROM issue_messages AS m
      WHERE m.issue_id = a.id AND m.author_contact_id IS NULL AND m.author_user_id IS NOT NULL
        AND m.is_private = 0 AND m.deleted_at IS NULL
      ORDER BY m.timestamp DESC, m.rowid DESC LIMIT 1
    ) AS answer
  FROM asked AS a
),
answers AS (
  SELECT a.id, coalesce(m.timestamp, '') AS at, coalesce(m.rowid, 0) AS row
  FROM answered AS a LEFT JOIN issue_messages AS m ON m.rowid = a.answer
),
waiting AS (
  SELECT
    a.id,
    (
      SELECT min(m.timestamp) FROM issue_messages AS m
      WHERE m.issue_id = a.id AND m.timestamp >= a.at
        AND (m.timestamp, m.rowid) > (a.at, a.row)
        AND m.author_contact_id IS NOT NULL AND m.is_private = 0 AND m.deleted_at IS NULL
    ) AS since
  FROM answers AS a
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
