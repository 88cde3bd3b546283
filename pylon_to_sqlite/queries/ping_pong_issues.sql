-- Ping-pong issues
-- Issues in which the word went back and forth most often between the customer and us (or a bot),
-- 100 at most: how many turns it took, in how many public messages and days, and how often syncs
-- saw another assignee or team. Choose when they were opened with since and until (UTC, such as
-- 2026-07-01; that day of until is in it); else it is the last 13 weeks before the last sync.
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
chosen AS MATERIALIZED (
  SELECT i.id
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
),
said AS (
  SELECT m.issue_id AS id, m.timestamp AS at, iif(m.author_contact_id IS NULL, 'u', 'c') AS side
  FROM issue_messages AS m
  WHERE m.is_private = 0 AND m.deleted_at IS NULL AND m.issue_id IN (SELECT c.id FROM chosen AS c)
  ORDER BY m.issue_id, m.timestamp
),
-- The sides in their order, such as cuucu: each cu and each uc in it is a turn.
courses AS (
  SELECT
    s.id,
    group_concat(s.side, '') AS course,
    min(s.at) AS first,
    max(s.at) AS last
  FROM said AS s
  GROUP BY s.id
),
counted AS (
  SELECT
    c.id,
    (2 * length(c.course) - length(replace(c.course, 'cu', '')) - length(replace(c.course, 'uc', '')))
      / 2 AS turns,
    length(c.course) AS messages,
    c.first,
    c.last
  FROM courses AS c
),
most AS (
  SELECT n.id, n.turns, n.messages, n.first, n.last FROM counted AS n
  WHERE n.turns > 1
  ORDER BY n.turns DESC, n.messages DESC, n.id
  LIMIT 100
)
SELECT
  i.number,
  i.title,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS state,
  n.turns,
  n.messages AS public_messages,
  round(julianday(n.last) - julianday(n.first), 1) AS days,
  (
    SELECT count(*) FROM issue_changes AS c
    WHERE c.issue_id = i.id AND c."column" IN ('assignee_id', 'team_id')
  ) AS reassignments,
  i.link
FROM most AS n
JOIN issues AS i ON i.id = n.id
ORDER BY n.turns DESC, n.messages DESC, i.number
