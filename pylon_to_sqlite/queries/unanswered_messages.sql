-- Messages nobody answered
-- Public messages of customers that nobody of us (and no bot) answered, in closed issues too, newest
-- first, 200 at most. They are older than a day before the last sync; hours asks for another age.
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
before AS (
  SELECT strftime(
    '%Y-%m-%dT%H:%M:%SZ', c.at,
    '-' || abs(CAST(coalesce(nullif(:hours, ''), 24) AS REAL)) || ' hours'
  ) AS at
  FROM clock AS c
),
unanswered AS (
  SELECT m.rowid AS row
  FROM issue_messages AS m
  JOIN issues AS i ON i.id = m.issue_id
  WHERE m.timestamp <= (SELECT b.at FROM before AS b)
    AND m.author_contact_id IS NOT NULL AND m.is_private = 0 AND m.deleted_at IS NULL
    AND NOT EXISTS (
      SELECT 1 FROM issue_messages AS answer
      WHERE answer.issue_id = m.issue_id AND answer.timestamp >= m.timestamp
        AND answer.author_contact_id IS NULL
        AND answer.is_private = 0 AND answer.deleted_at IS NULL
    )
    AND i.deleted_at IS NULL AND i.placeholder = 0
  ORDER BY m.timestamp DESC
  LIMIT 200
)
SELECT
  m.timestamp,
  i.number,
  i.title,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  coalesce(m.author_name, (SELECT c.name FROM contacts AS c WHERE c.id = m.author_contact_id))
    AS author,
  m.message_text,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS state,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee,
  round((julianday(clock.at) - julianday(m.timestamp)) * 24, 1) AS hours_ago
FROM clock, unanswered AS n
JOIN issue_messages AS m ON m.rowid = n.row
JOIN issues AS i ON i.id = m.issue_id
ORDER BY m.timestamp DESC, i.number DESC
