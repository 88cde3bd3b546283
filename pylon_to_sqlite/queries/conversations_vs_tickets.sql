-- Conversations against tickets
-- How many there are of each, their share, and the median time to the first response and to the
-- resolution, in hours. Choose a time with since and until (UTC, such as 2026-07-01).
WITH chosen AS (
  SELECT
    lower(type) AS type,
    first_response_seconds,
    resolution_seconds
  FROM issues
  WHERE deleted_at IS NULL AND placeholder = 0
    AND (coalesce(:since, '') = '' OR created_at >= :since)
    AND (coalesce(:until, '') = '' OR created_at < :until)
),
first_responses AS (
  SELECT
    type,
    first_response_seconds AS seconds,
    row_number() OVER (PARTITION BY type ORDER BY first_response_seconds) AS place,
    count(*) OVER (PARTITION BY type) AS of
  FROM chosen WHERE first_response_seconds IS NOT NULL
),
resolutions AS (
  SELECT
    type,
    resolution_seconds AS seconds,
    row_number() OVER (PARTITION BY type ORDER BY resolution_seconds) AS place,
    count(*) OVER (PARTITION BY type) AS of
  FROM chosen WHERE resolution_seconds IS NOT NULL
)
SELECT
  type,
  count(*) AS issues,
  round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share_percent,
  (
    SELECT round(avg(seconds) / 3600, 2) FROM first_responses
    WHERE first_responses.type IS chosen.type AND place IN ((of + 1) / 2, (of + 2) / 2)
  ) AS median_first_response_hours,
  (
    SELECT round(avg(seconds) / 3600, 2) FROM resolutions
    WHERE resolutions.type IS chosen.type AND place IN ((of + 1) / 2, (of + 2) / 2)
  ) AS median_resolution_hours
FROM chosen
GROUP BY type
ORDER BY issues DESC
