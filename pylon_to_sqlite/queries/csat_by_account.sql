-- CSAT by account
-- How satisfied the people of each account were, least first, 100 at most: the mean score, and the
-- share of those who gave 4 or 5. An answer counts for when its issue was resolved (or opened,
-- where it is not), for Pylon does not tell when it was given. Choose a time with since and until
-- (UTC, such as 2026-07-01; that day of until is in it); else it is the last 26 weeks before the
-- last sync.
-- chart: bar account:nominal mean_score:quantitative
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
answers AS (
  SELECT
    r.score,
    r.comment,
    coalesce(i.resolution_time, i.created_at) AS at,
    i.number,
    i.title,
    i.assignee_id,
    i.account_id
  FROM span, issue_csat_responses AS r
  JOIN issues AS i ON i.id = r.issue_id
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND coalesce(i.resolution_time, i.created_at) >= span.first
    AND coalesce(i.resolution_time, i.created_at) < span.last
)
SELECT
  coalesce((SELECT a.name FROM accounts AS a WHERE a.id = w.account_id), w.account_id, 'none')
    AS account,
  count(w.score) AS answers,
  round(avg(w.score), 2) AS mean_score,
  round(100.0 * avg(w.score >= 4), 1) AS satisfied_percent,
  count(w.comment) AS comments,
  w.account_id
FROM answers AS w
GROUP BY w.account_id
ORDER BY mean_score, answers DESC, 1
LIMIT 100
