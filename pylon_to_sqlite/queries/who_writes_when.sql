-- Who writes when
-- Public messages by weekday and hour: those of customers, of us, and of bots. Hours are UTC, or so
-- many hours later as utc_offset says (2, or -3.5). Choose a time with since and until (UTC, such
-- as 2026-07-01; that day of until is in it); else it is the last 13 weeks before the last sync.
-- chart: circle hour:ordinal weekday:ordinal - customers
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
      THEN date(c.at, 'weekday 0', '-6 days', '-84 days')
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
counted AS (
  -- By quarters of an hour, so that few times are to be worked out.
  SELECT
    substr(m.timestamp, 1, 13) AS hour,
    CAST(substr(m.timestamp, 15, 2) AS INTEGER) / 15 * 15 AS minute,
    count(*) FILTER (WHERE m.author_contact_id IS NOT NULL) AS customers,
    count(*) FILTER (WHERE m.author_contact_id IS NULL AND m.author_user_id IS NOT NULL) AS us,
    count(*) FILTER (WHERE m.author_contact_id IS NULL AND m.author_user_id IS NULL) AS bots
  FROM span, issue_messages AS m
  WHERE m.is_private = 0 AND m.deleted_at IS NULL
    AND m.timestamp >= span.first AND m.timestamp < span.last
  GROUP BY 1, 2
),
local AS (
  SELECT
    datetime(
      q.hour || printf(':%02d', q.minute),
      CAST(coalesce(nullif(:utc_offset, ''), 0) AS REAL) || ' hours'
    ) AS at,
    q.customers, q.us, q.bots
  FROM counted AS q
)
SELECT
  CASE strftime('%w', n.at)
    WHEN '1' THEN '1 Monday'
    WHEN '2' THEN '2 Tuesday'
    WHEN '3' THEN '3 Wednesday'
    WHEN '4' THEN '4 Thursday'
    WHEN '5' THEN '5 Friday'
    WHEN '6' THEN '6 Saturday'
    ELSE '7 Sunday'
  END AS weekday,
  strftime('%H', n.at) AS hour,
  sum(n.customers) AS customers,
  sum(n.us) AS us,
  sum(n.bots) AS bots
FROM local AS n
-- No place on earth is further from UTC.
WHERE abs(CAST(coalesce(nullif(:utc_offset, ''), 0) AS REAL)) <= 14
GROUP BY 1, 2
ORDER BY 1, 2
