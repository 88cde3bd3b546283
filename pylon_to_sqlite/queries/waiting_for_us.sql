-- What waits for us
-- Open issues in which the customer wrote last, and for how many hours they wait, counted up to the
-- last sync: since their first message after our last one (or a bot's). Longest first, 500 at most.
WITH clock AS (
  SELECT coalesce(
    (SELECT r.started_at FROM _pylon_runs AS r ORDER BY r.id DESC LIMIT 1),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
open AS MATERIALIZED (
  SELECT i.rowid AS row
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.state, '') NOT IN closed
),
spoken AS (
  SELECT
    o.row,
    max(m.timestamp) FILTER (WHERE m.author_contact_id IS NULL) AS answered_at,
    max(m.timestamp) FILTER (WHERE m.author_contact_id IS NOT NULL) AS asked_at
  FROM open AS o
  JOIN issues AS i ON i.rowid = o.row
  JOIN issue_messages AS m ON m.issue_id = i.id
  WHERE m.is_private = 0 AND m.deleted_at IS NULL
  GROUP BY o.row
),
waiting AS (
  SELECT
    s.row,
    (
      SELECT min(m.timestamp) FROM issue_messages AS m
      WHERE m.issue_id = (SELECT i.id FROM issues AS i WHERE i.rowid = s.row)
        AND m.timestamp > coalesce(s.answered_at, '')
        AND m.author_contact_id IS NOT NULL AND m.is_private = 0 AND m.deleted_at IS NULL
    ) AS since
  FROM spoken AS s
  WHERE s.asked_at > coalesce(s.answered_at, '')
  ORDER BY since
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
FROM clock, waiting AS w
JOIN issues AS i ON i.rowid = w.row
ORDER BY w.since, i.number
