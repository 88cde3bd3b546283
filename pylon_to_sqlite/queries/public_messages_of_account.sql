-- Public messages of an account
-- What people of an account wrote and were told, newest first, 500 at most: its id, a domain of it,
-- or a part of its name. No private notes. Without any, the account with most issues in the last 26
-- weeks before the last sync.
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
busiest AS (
  SELECT i.account_id AS id
  FROM clock, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0 AND i.account_id IS NOT NULL
    AND i.created_at >= date(clock.at, 'weekday 0', '-6 days', '-175 days')
  GROUP BY i.account_id
  ORDER BY count(*) DESC, i.account_id
  LIMIT 1
),
chosen AS (
  SELECT b.id FROM busiest AS b WHERE trim(coalesce(:account, '')) = ''
  UNION
  SELECT a.id FROM accounts AS a
  WHERE trim(coalesce(:account, '')) != '' AND a.deleted_at IS NULL AND a.placeholder = 0
    AND (
      a.id = trim(:account)
      OR instr(lower(a.name), lower(trim(:account))) > 0
      -- SQLite's lower() knows no letters but a to z; the index knows them all.
      OR a.rowid IN (
        SELECT accounts_fts.rowid FROM accounts_fts
        WHERE accounts_fts
          MATCH '{name} : ("' || replace(substr(trim(:account), 1, 200), '"', '""') || '" *)'
      )
      OR EXISTS (
        SELECT 1 FROM account_domains AS d
        WHERE d.account_id = a.id AND d.domain = lower(trim(:account))
      )
    )
)
SELECT
  m.timestamp,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  i.number,
  i.title,
  m.author_name,
  CASE
    WHEN m.author_user_id IS NOT NULL THEN 'us'
    WHEN m.author_contact_id IS NOT NULL THEN 'customer'
    ELSE 'bot'
  END AS side,
  m.message_text,
  m.id
FROM chosen AS c
CROSS JOIN issues AS i ON i.account_id = c.id
CROSS JOIN issue_messages AS m ON m.issue_id = i.id
WHERE i.deleted_at IS NULL AND i.placeholder = 0
  AND m.is_private = 0 AND m.deleted_at IS NULL
ORDER BY m.timestamp DESC, m.id
LIMIT 500
