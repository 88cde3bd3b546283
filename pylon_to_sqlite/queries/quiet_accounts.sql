-- Accounts that went quiet
-- Accounts that opened issues in the half year before, but none in the last 28 days before the last
-- sync; another number of days can be given. Those that opened most come first, 100 at most.
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
span AS (
  SELECT
    c.at,
    date(c.at, '-' || coalesce(nullif(CAST(:days AS INTEGER), 0), 28) || ' days') AS quiet_from,
    date(c.at, '-' || (coalesce(nullif(CAST(:days AS INTEGER), 0), 28) + 182) || ' days') AS first
  FROM clock AS c
),
counted AS (
  SELECT i.account_id AS account_id, count(*) AS issues, max(i.created_at) AS last_opened
  FROM issues AS i
  WHERE i.created_at >= (SELECT s.first FROM span AS s)
    AND i.deleted_at IS NULL AND i.placeholder = 0
  GROUP BY i.account_id
)
SELECT
  a.name AS account,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = a.owner_id) AS owner,
  n.issues AS issues_before,
  n.last_opened,
  CAST(julianday(s.at) - julianday(n.last_opened) AS INTEGER) AS days_quiet,
  a.latest_customer_activity_time,
  a.id AS account_id
FROM span AS s, counted AS n
JOIN accounts AS a ON a.id = n.account_id
WHERE n.last_opened < s.quiet_from AND a.deleted_at IS NULL AND a.placeholder = 0
ORDER BY n.issues DESC, a.name, a.id
LIMIT 100
