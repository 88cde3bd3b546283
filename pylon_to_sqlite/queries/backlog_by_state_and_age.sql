-- The backlog by state and age
-- Open issues by how long ago they were opened, counted from the last sync, and by their state.
-- chart: bar age:ordinal issues:quantitative state
WITH clock AS (
  SELECT coalesce(
    (
      SELECT json_extract(p.state, '$.watermark') FROM _pylon_checkpoints AS p
      WHERE p.stream = 'issues' AND json_valid(p.state)
    ),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
aged AS (
  SELECT i.state, julianday(clock.at) - julianday(i.created_at) AS days
  FROM clock, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.state, '') NOT IN closed
),
grouped AS (
  SELECT
    CASE
      WHEN a.days < 1 THEN '00-01 days'
      WHEN a.days < 3 THEN '01-03 days'
      WHEN a.days < 7 THEN '03-07 days'
      WHEN a.days < 28 THEN '07-28 days'
      WHEN a.days < 91 THEN '28-91 days'
      WHEN a.days >= 91 THEN '91 days and more'
      ELSE 'unknown'
    END AS age,
    a.state
  FROM aged AS a
)
SELECT
  g.age,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = g.state), g.state, 'none') AS state,
  count(*) AS issues
FROM grouped AS g
GROUP BY g.age, g.state
ORDER BY g.age, issues DESC, 2
