-- Agents' replies
-- Public messages and private notes that each of us wrote, and in how many issues. Choose a time
-- with since and until (UTC, such as 2026-07-01); else it is from Monday four weeks before the last
-- sync.
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
counted AS (
  SELECT
    m.author_user_id AS agent_id,
    count(*) FILTER (WHERE m.is_private = 0) AS replies,
    count(*) FILTER (WHERE m.is_private = 1) AS notes,
    count(DISTINCT m.issue_id) AS issues,
    max(m.timestamp) AS latest
  FROM clock, issue_messages AS m
  WHERE m.deleted_at IS NULL AND m.author_user_id IS NOT NULL
    AND m.timestamp >= coalesce(
      nullif(:since, ''), date(clock.at, 'weekday 0', '-6 days', '-28 days')
    )
    AND (coalesce(:until, '') = '' OR m.timestamp < :until)
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
