-- Conversations against tickets
-- How many there are of each, their share, and the median time to the first response and to the
-- resolution, in hours. Choose a time with since and until (UTC, such as 2026-07-01).
WITH chosen AS MATERIALIZED (
  SELECT
    lower(type) AS type,
    first_response_seconds AS response,
    resolution_seconds AS resolution
  FROM issues
  WHERE deleted_at IS NULL AND placeholder = 0
    AND (coalesce(:since, '') = '' OR created_at >= :since)
    AND (coalesce(:until, '') = '' OR created_at < :until)
),
responses AS (
  SELECT type, count(*) AS n, json_group_array(response) AS sorted
  FROM (SELECT type, response FROM chosen WHERE response IS NOT NULL ORDER BY type, response)
  GROUP BY type
),
resolutions AS (
  SELECT type, count(*) AS n, json_group_array(resolution) AS sorted
  FROM (SELECT type, resolution FROM chosen WHERE resolution IS NOT NULL ORDER BY type, resolution)
  GROUP BY type
),
-- The middle one, or the mean of the two in the middle.
medians AS (
  SELECT 'response' AS what, type,
    (json_extract(sorted, '$[' || ((n - 1) / 2) || ']')
      + json_extract(sorted, '$[' || (n / 2) || ']')) / 7200.0 AS hours
  FROM responses
  UNION ALL
  SELECT 'resolution', type,
    (json_extract(sorted, '$[' || ((n - 1) / 2) || ']')
      + json_extract(sorted, '$[' || (n / 2) || ']')) / 7200.0
  FROM resolutions
)
SELECT
  type,
  count(*) AS issues,
  round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share_percent,
  (
    SELECT round(hours, 2) FROM medians
    WHERE what = 'response' AND medians.type IS chosen.type
  ) AS median_first_response_hours,
  (
    SELECT round(hours, 2) FROM medians
    WHERE what = 'resolution' AND medians.type IS chosen.type
  ) AS median_resolution_hours
FROM chosen
GROUP BY type
ORDER BY issues DESC
