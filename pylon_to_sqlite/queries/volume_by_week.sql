-- Volume by week
-- Issues opened and resolved in each week from Monday, those without any too. Choose a time with
-- since and until (UTC, such as 2026-07-01; that day of until is in it); else it is the last 26
-- weeks before the last sync.
-- chart: bar week:ordinal opened:quantitative
WITH RECURSIVE clock AS (
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
      WHEN trim(coalesce(:until, '')) = '' THEN date(c.at, '+1 day')
      WHEN trim(:until) GLOB '????-??-??' THEN date(trim(:until), '+1 day')
      WHEN trim(:until) GLOB '[0-9][0-9][0-9][0-9]-*'
      THEN strftime('%Y-%m-%dT%H:%M:%SZ', trim(:until))
    END AS last
  FROM clock AS c
),
opened AS (
  SELECT date(i.created_at, 'weekday 0', '-6 days') AS week, lower(i.type) AS type
  FROM issues AS i
  WHERE i.created_at >= (SELECT s.first FROM span AS s)
    AND i.created_at < (SELECT s.last FROM span AS s)
    AND i.deleted_at IS NULL AND i.placeholder = 0
),
resolved AS (
  SELECT date(i.resolution_time, 'weekday 0', '-6 days') AS week
  FROM issues AS i
  WHERE i.resolution_time >= (SELECT s.first FROM span AS s)
    AND i.resolution_time < (SELECT s.last FROM span AS s)
    AND i.deleted_at IS NULL AND i.placeholder = 0
),
opened_by_week AS (
  SELECT
    o.week,
    count(*) AS issues,
    count(*) FILTER (WHERE o.type = 'conversation') AS conversations,
    count(*) FILTER (WHERE o.type = 'ticket') AS tickets
  FROM opened AS o GROUP BY o.week
),
resolved_by_week AS (
  SELECT r.week, count(*) AS issues FROM resolved AS r GROUP BY r.week
),
bounds AS (
  SELECT min(w.week) AS first, max(w.week) AS last
  FROM (SELECT o.week FROM opened_by_week AS o UNION SELECT r.week FROM resolved_by_week AS r) AS w
),
weeks(week) AS (
  SELECT b.first FROM bounds AS b WHERE b.first IS NOT NULL
  UNION ALL
  SELECT date(w.week, '+7 days') FROM weeks AS w, bounds AS b WHERE w.week < b.last
)
SELECT
  w.week,
  coalesce(o.issues, 0) AS opened,
  coalesce(o.conversations, 0) AS conversations,
  coalesce(o.tickets, 0) AS tickets,
  coalesce(r.issues, 0) AS resolved
FROM weeks AS w
LEFT JOIN opened_by_week AS o ON o.week = w.week
LEFT JOIN resolved_by_week AS r ON r.week = w.week
ORDER BY w.week DESC
