-- Conversations against tickets
-- By week from Monday: how many were opened of each, their share of the week, and the median hours
-- to the first response and to the resolution. Choose a time with since and until (UTC, such as
-- 2026-07-01; that day of until is in it); else it is the last 26 weeks before the last sync.
-- chart: bar week:ordinal issues:quantitative type
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
chosen AS MATERIALIZED (
  SELECT
    date(i.created_at, 'weekday 0', '-6 days') AS week,
    lower(i.type) AS type,
    i.first_response_seconds AS response,
    i.resolution_seconds AS resolution
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
),
-- Sorted arrays take half the time of numbered rows.
responses AS (
  SELECT v.week, v.type, count(*) AS n, json_group_array(v.seconds) AS sorted
  FROM (
    SELECT c.week, c.type, c.response AS seconds FROM chosen AS c
    WHERE c.response IS NOT NULL ORDER BY c.week, c.type, c.response
  ) AS v
  GROUP BY v.week, v.type
),
resolutions AS (
  SELECT v.week, v.type, count(*) AS n, json_group_array(v.seconds) AS sorted
  FROM (
    SELECT c.week, c.type, c.resolution AS seconds FROM chosen AS c
    WHERE c.resolution IS NOT NULL ORDER BY c.week, c.type, c.resolution
  ) AS v
  GROUP BY v.week, v.type
),
-- The middle one, or the mean of the two in the middle.
middle_responses AS (
  SELECT
    r.week,
    r.type,
    (
      json_extract(r.sorted, '$[' || ((r.n - 1) / 2) || ']')
      + json_extract(r.sorted, '$[' || (r.n / 2) || ']')
    ) / 7200.0 AS hours
  FROM responses AS r
),
middle_resolutions AS (
  SELECT
    r.week,
    r.type,
    (
      json_extract(r.sorted, '$[' || ((r.n - 1) / 2) || ']')
      + json_extract(r.sorted, '$[' || (r.n / 2) || ']')
    ) / 7200.0 AS hours
  FROM resolutions AS r
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
