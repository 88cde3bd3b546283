-- Reopened issues
-- Issues that were open again after they had been closed, newest first, 500 at most: syncs saw it
-- (issue_changes), the customer wrote after the resolution, or Pylon counts time as closed before
-- it. Choose a time with since and until (UTC, such as 2026-07-01; that day of until is in it);
-- else it is the last 13 weeks before the last sync. Where only times tell of it, the time is that
-- of the opening.
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
  SELECT
    i.id,
    i.state,
    total(j.value) FILTER (WHERE j.key IN closed) AS closed,
    total(j.value) FILTER (WHERE j.key NOT IN closed) AS opened,
    (julianday(i.resolution_time) - julianday(i.created_at)) * 86400 AS resolved_after,
    i.created_at
  FROM issues AS i
  JOIN json_each(iif(json_valid(i.time_in_status_seconds), i.time_in_status_seconds, '{}')) AS j
  WHERE i.created_at >= (SELECT s.first FROM span AS s)
    AND i.created_at < (SELECT s.last FROM span AS s)
    AND i.deleted_at IS NULL AND i.placeholder = 0
    AND EXISTS (SELECT 1 FROM closed AS c WHERE instr(i.time_in_status_seconds, c.state))
  -- By an expression, so that the index by time is the one that is used.
  GROUP BY i.id || ''
),
signs AS (
  SELECT c.issue_id AS id, c.seen_at AS at, 'a sync saw it' AS sign
  FROM span AS s, issue_changes AS c
  WHERE c."column" = 'state' AND c.old IN closed AND c.new NOT IN closed
    AND c.seen_at >= s.first AND c.seen_at < s.last
  UNION ALL
  SELECT i.id, m.timestamp, 'customer wrote after the resolution'
  FROM issues AS i
  CROSS JOIN issue_messages AS m ON m.issue_id = i.id AND m.timestamp > i.resolution_time
  WHERE i.resolution_time >= (SELECT s.first FROM span AS s)
    AND i.resolution_time < (SELECT s.last FROM span AS s)
    AND m.author_contact_id IS NOT NULL AND m.is_private = 0 AND m.deleted_at IS NULL
  UNION ALL
  -- Or else all the time up to the resolution would be time in other states.
  SELECT n.id, n.created_at, 'time as closed before'
  FROM counted AS n
  WHERE n.closed > 0
    AND (coalesce(n.state, '') NOT IN closed OR n.opened < n.resolved_after - 60)
),
reopened AS (
  SELECT n.id, max(n.at) AS at, group_concat(DISTINCT n.sign) AS signs
  FROM signs AS n GROUP BY n.id
)
SELECT
  r.at,
  i.number,
  i.title,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS state,
  r.signs,
  i.link
FROM reopened AS r
JOIN issues AS i ON i.id = r.id
WHERE i.deleted_at IS NULL AND i.placeholder = 0
ORDER BY r.at DESC, i.number DESC
LIMIT 500
