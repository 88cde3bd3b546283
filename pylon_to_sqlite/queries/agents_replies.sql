-- Agents' replies
-- Public messages and private notes that each of us wrote, and in how many issues. Choose a time
-- with since and until (UTC, such as 2026-07-01; that day of until is in it); else it is from
-- Monday four weeks before the last sync.
-- chart: bar agent:nominal replies:quantitative
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
      THEN date(c.at, 'weekday 0', '-6 days', '-28 days')
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
  SELECT
    m.author_user_id AS agent_id,
    count(*) FILTER (WHERE m.is_private = 0) AS replies,
    count(*) FILTER (WHERE m.is_private IS NOT 0) AS notes,
    count(DISTINCT m.issue_id) AS issues,
    max(m.timestamp) AS latest
  FROM span, issue_messages AS m
  WHERE m.deleted_at IS NULL AND m.author_user_id IS NOT NULL
    AND m.timestamp >= span.first AND m.timestamp < span.last
  GROUP BY m.author_user_id
)
SELECT
  coalesce((SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = n.agent_id), n.agent_id)
    AS agent,
  n.replies,
  n.notes,
  n.issues,
  n.latest
FROM counted AS n
ORDER BY n.replies DESC, 1
