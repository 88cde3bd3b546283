-- First response by week
-- Hours to the first response to issues opened in each week from Monday: the median, and what three
-- in four and nine in ten of them stayed below or met. Choose a time with since and until (UTC,
-- such as 2026-07-01; that day of until is in it); else it is the last 26 weeks before the last
-- sync.
-- chart: line week:ordinal median_hours:quantitative
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
chosen AS (
  SELECT date(i.created_at, 'weekday 0', '-6 days') AS week, i.first_response_seconds AS seconds
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.first_response_seconds IS NOT NULL
    AND i.created_at >= span.first AND i.created_at < span.last
),
placed AS (
  SELECT
    c.week,
    c.seconds,
    row_number() OVER (PARTITION BY c.week ORDER BY c.seconds) AS place,
    count(*) OVER (PARTITION BY c.week) AS n
  FROM chosen AS c
)
SELECT
  p.week,
  max(p.n) AS answered,
  round(avg(p.seconds) FILTER (WHERE p.place IN ((p.n + 1) / 2, (p.n + 2) / 2)) / 3600, 2)
    AS median_hours,
  round(max(p.seconds) FILTER (WHERE p.place = (3 * p.n + 3) / 4) / 3600.0, 2) AS p75_hours,
  round(max(p.seconds) FILTER (WHERE p.place = (9 * p.n + 9) / 10) / 3600.0, 2) AS p90_hours
FROM placed AS p
GROUP BY p.week
ORDER BY p.week DESC
