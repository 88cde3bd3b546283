-- Who writes when
-- Public messages by weekday and hour: those of customers, of us, and of bots. Hours are UTC, or so
-- many hours later as utc_offset says (2, or -5.5). Choose a time with since and until (UTC, such as
-- 2026-07-01); else it is the last 26 weeks before the last sync.
-- chart: circle hour:ordinal weekday:ordinal - customers
WITH clock AS (
  SELECT coalesce(
    (SELECT r.started_at FROM _pylon_runs AS r ORDER BY r.id DESC LIMIT 1),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
hours AS (
  SELECT
    substr(m.timestamp, 1, 16) AS minute,
    m.author_contact_id IS NOT NULL AS is_customer,
    m.author_user_id IS NOT NULL AS is_us
  FROM clock, issue_messages AS m
  WHERE m.is_private = 0 AND m.deleted_at IS NULL
    AND m.timestamp >= coalesce(
      nullif(:since, ''), date(clock.at, 'weekday 0', '-6 days', '-175 days')
    )
    AND (coalesce(:until, '') = '' OR m.timestamp < :until)
),
quarters AS (
  -- Offsets are quarters of hours: fewer times to work out.
  SELECT
    substr(h.minute, 1, 14) || substr('00153045', 1 + 2 * (substr(h.minute, 15) / 15), 2) AS at,
    count(*) FILTER (WHERE h.is_customer) AS customers,
    count(*) FILTER (WHERE h.is_us AND NOT h.is_customer) AS us,
    count(*) FILTER (WHERE NOT h.is_us AND NOT h.is_customer) AS bots
  FROM hours AS h
  GROUP BY 1
),
local AS (
  SELECT
    datetime(q.at, CAST(coalesce(nullif(:utc_offset, ''), 0) AS REAL) || ' hours') AS at,
    q.customers, q.us, q.bots
  FROM quarters AS q
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
GROUP BY 1, 2
ORDER BY 1, 2
