-- Issues by a custom field
-- How the values of one custom field spread over issues; an issue with several values counts for
-- each. Choose the field by its slug, and a time with since and until (UTC, such as 2026-07-01;
-- that day of until is in it); else it is the field with options that is used most, and the last 26
-- weeks before the last sync.
-- chart: bar value:nominal issues:quantitative
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
fields AS (
  SELECT d.slug, d.label, d.type, d.select_metadata
  FROM custom_fields AS d
  WHERE d.object_type = 'issue' AND d.deleted_at IS NULL
),
used AS (
  SELECT v.slug, count(*) AS times FROM issue_custom_fields AS v GROUP BY v.slug
),
picked AS (
  SELECT coalesce(
    nullif(trim(:slug), ''),
    (
      SELECT u.slug FROM used AS u LEFT JOIN fields AS f ON f.slug = u.slug
      ORDER BY f.type IN ('select', 'multiselect', 'boolean') DESC, u.times DESC, u.slug
      LIMIT 1
    )
  ) AS slug
),
chosen AS MATERIALIZED (
  SELECT i.id, i.state
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
),
counted AS (
  SELECT
    v.value,
    count(*) AS issues,
    count(*) FILTER (WHERE coalesce(c.state, '') NOT IN closed) AS still_open
  FROM picked AS p, chosen AS c
  JOIN issue_custom_fields AS v ON v.issue_id = c.id AND v.slug = p.slug
  GROUP BY v.value
)
SELECT
  coalesce((SELECT f.label FROM fields AS f WHERE f.slug = p.slug), p.slug) AS field,
  coalesce(
    (
      SELECT json_extract(o.value, '$.label')
      FROM fields AS f, json_each(
        iif(json_valid(f.select_metadata), f.select_metadata, '{}'), '$.options'
      ) AS o
      WHERE f.slug = p.slug AND o.type = 'object' AND json_extract(o.value, '$.slug') = n.value
    ),
    n.value,
    'none'
  ) AS value,
  n.issues,
  round(100.0 * n.issues / (SELECT count(*) FROM chosen), 1) AS share_percent,
  n.still_open
FROM picked AS p, counted AS n
ORDER BY n.issues DESC, 2
