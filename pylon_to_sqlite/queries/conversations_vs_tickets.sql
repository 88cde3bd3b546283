-- Conversations against tickets
-- By week from Monday: how many were opened of each, their share of the week, and the median hours
-- to the first response and to the resolution. Choose a time with since and until (UTC, such as
-- 2026-07-01); else it is the last 26 weeks before the last sync.
-- chart: bar week:ordinal issues:quantitative type
WITH clock AS (
  SELECT coalesce(
    (SELECT r.started_at FROM _pylon_runs AS r ORDER BY r.id DESC LIMIT 1),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
chosen AS MATERIALIZED (
  SELECT
    date(i.created_at, 'weekday 0', '-6 days') AS week,
    lower(i.type) AS type,
    i.first_response_seconds AS response,
    i.resolution_seconds AS resolution
  FROM clock, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= coalesce(
      nullif(:since, ''), date(clock.at, 'weekday 0', '-6 days', '-175 days')
    )
    AND (coalesce(:until, '') = '' OR i.created_at < :until)
),
responses AS (
  SELECT
    c.week, c.type, c.response AS seconds,
    row_number() OVER (PARTITION BY c.week, c.type ORDER BY c.response) AS place,
    count(*) OVER (PARTITION BY c.week, c.type) AS n
  FROM chosen AS c WHERE c.response IS NOT NULL
),
resolutions AS (
  SELECT
    c.week, c.type, c.resolution AS seconds,
    row_number() OVER (PARTITION BY c.week, c.type ORDER BY c.resolution) AS place,
    count(*) OVER (PARTITION BY c.week, c.type) AS n
  FROM chosen AS c WHERE c.resolution IS NOT NULL
),
-- The middle one, or the mean of the two in the middle.
middle_responses AS (
  SELECT r.week, r.type, avg(r.seconds) / 3600 AS hours FROM responses AS r
  WHERE r.place IN ((r.n + 1) / 2, (r.n + 2) / 2) GROUP BY r.week, r.type
),
middle_resolutions AS (
  SELECT r.week, r.type, avg(r.seconds) / 3600 AS hours FROM resolutions AS r
  WHERE r.place IN ((r.n + 1) / 2, (r.n + 2) / 2) GROUP BY r.week, r.type
),
counted AS (
  SELECT c.week, c.type, count(*) AS issues FROM chosen AS c GROUP BY c.week, c.type
)
SELECT
  c.week,
  c.type,
  c.issues,
  round(100.0 * c.issues / sum(c.issues) OVER (PARTITION BY c.week), 1) AS share_percent,
  round(a.hours, 2) AS median_first_response_hours,
  round(b.hours, 2) AS median_resolution_hours
FROM counted AS c
LEFT JOIN middle_responses AS a ON a.week = c.week AND a.type IS c.type
LEFT JOIN middle_resolutions AS b ON b.week = c.week AND b.type IS c.type
ORDER BY c.week DESC, c.issues DESC, c.type
