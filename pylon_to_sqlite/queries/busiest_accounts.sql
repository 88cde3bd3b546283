-- The busiest accounts
-- Accounts by the issues they opened, the 50 with most. Choose a time with since and until (UTC,
-- such as 2026-07-01; that day of until is in it); else it is the last 26 weeks before the last
-- sync.
-- chart: bar account:nominal issues:quantitative
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
-- A day alone is meant whole; what is no time finds nothing.
span AS (
  SELECT
    CASE
      WHEN trim(coalesce(:since, '')) = ''
      THEN date(c.at, 'weekday 0', '-6 days', '-175 days')
      WHEN trim(:since) GLOB '[0-9][0-9][0-9][0-9]-*'
      THEN strftime('%Y-%m-%dT%H:%M:%SZ', trim(:since))
    END AS first,
    CASE
      WHEN trim(coalesce(:until, '')) = '' THEN '9999'
      WHEN trim(:until) GLOB '????-??-??' THEN date(trim(:until), '+1 day')
      WHEN trim(:until) GLOB '[0-9][0-9][0-9][0-9]-*'
      THEN strftime('%Y-%m-%dT%H:%M:%SZ', trim(:until))
    END AS last
  FROM clock AS c
),
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
counted AS (
  SELECT
    i.account_id AS account_id,
    count(*) AS issues,
    count(*) FILTER (WHERE lower(i.type) = 'ticket') AS tickets,
    count(*) FILTER (WHERE coalesce(i.state, '') NOT IN closed) AS still_open,
    avg(i.first_response_seconds) / 3600 AS response_hours,
    max(i.created_at) AS last_opened
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
  GROUP BY i.account_id
)
SELECT
  coalesce((SELECT a.name FROM accounts AS a WHERE a.id = n.account_id), n.account_id, 'none')
    AS account,
  n.issues,
  round(100.0 * n.issues / sum(n.issues) OVER (), 1) AS share_percent,
  n.tickets,
  n.still_open,
  round(n.response_hours, 2) AS mean_first_response_hours,
  n.last_opened,
  n.account_id
FROM counted AS n
ORDER BY n.issues DESC, 1
LIMIT 50
