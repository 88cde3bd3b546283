-- Volume by tag
-- Issues by tag; one with several tags counts for each. Choose a time with since and until (UTC,
-- such as 2026-07-01; that day of until is in it); else it is the last 26 weeks before the last
-- sync.
-- chart: bar tag:nominal issues:quantitative
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
chosen AS MATERIALIZED (
  SELECT i.id, i.type, i.state, i.source, i.team_id
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
),
counted AS (
  SELECT
    t.tag AS part,
    count(*) AS issues,
    count(*) FILTER (WHERE lower(c.type) = 'conversation') AS conversations,
    count(*) FILTER (WHERE lower(c.type) = 'ticket') AS tickets,
    count(*) FILTER (WHERE coalesce(c.state, '') NOT IN closed) AS still_open
  FROM chosen AS c
  JOIN issue_tags AS t ON t.issue_id = c.id
  GROUP BY t.tag
)
SELECT
  n.part AS tag,
  n.issues,
  round(100.0 * n.issues / (SELECT count(*) FROM chosen), 1) AS share_percent,
  n.conversations,
  n.tickets,
  n.still_open
FROM counted AS n
ORDER BY n.issues DESC, 1
