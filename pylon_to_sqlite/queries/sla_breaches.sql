-- SLA breaches
-- Issues opened from Monday four weeks before the last sync whose first response or resolution came
-- after it was due, or is due and has not come, by the times of the issue and of each of its teams:
-- what both were late for stands there for each. Choose another time with since and until (UTC, such
-- as 2026-07-01; that day of until is in it). Latest due first, 500 at most.
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
    c.at,
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
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
chosen AS MATERIALIZED (
  SELECT
    i.rowid AS row, i.team_slas,
    i.first_response_breach_time, i.first_response_time,
    i.resolution_breach_time, i.resolution_time,
    -- What never came was late until the issue was closed, and is for as long as it is open.
    CASE WHEN coalesce(i.state, '') IN closed THEN i.resolution_time ELSE span.at END AS ended
  FROM span, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= span.first AND i.created_at < span.last
),
of_teams AS MATERIALIZED (
  SELECT
    c.row, c.ended,
    coalesce(
      (SELECT t.name FROM teams AS t WHERE t.id = json_extract(j.value, '$.team_id')), 'a team'
    ) AS whose,
    json_extract(j.value, '$.first_response.breach_time') AS response_due,
    json_extract(j.value, '$.first_response.time') AS response,
    json_extract(j.value, '$.resolution.breach_time') AS resolution_due,
    json_extract(j.value, '$.resolution.time') AS resolution
  FROM chosen AS c
  JOIN json_each(iif(json_valid(c.team_slas), c.team_slas, '[]')) AS j
  WHERE j.type = 'object'
),
promises(row, whose, what, due, reached, ended) AS (
  SELECT
    c.row, 'the issue', 'first response', c.first_response_breach_time, c.first_response_time, c.ended
  FROM chosen AS c
  UNION ALL
  SELECT c.row, 'the issue', 'resolution', c.resolution_breach_time, c.resolution_time, c.ended
  FROM chosen AS c
  UNION ALL
  SELECT t.row, t.whose, 'first response', t.response_due, nullif(t.response, ''), t.ended
  FROM of_teams AS t
  UNION ALL
  SELECT t.row, t.whose, 'resolution', t.resolution_due, nullif(t.resolution, ''), t.ended
  FROM of_teams AS t
),
breaches AS (
  SELECT p.row, p.whose, p.what, p.due, p.reached, coalesce(p.reached, p.ended) AS ended
  FROM promises AS p
  -- Those of teams come as Pylon wrote them, in any zone.
  WHERE julianday(coalesce(p.reached, p.ended)) > julianday(p.due)
  ORDER BY julianday(p.due) DESC
  LIMIT 500
)
SELECT
  i.number,
  i.title,
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account,
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee,
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS state,
  e.what,
  e.whose,
  e.due,
  e.reached,
  round((julianday(e.ended) - julianday(e.due)) * 24, 1) AS hours_late,
  i.link
FROM breaches AS e
JOIN issues AS i ON i.rowid = e.row
ORDER BY julianday(e.due) DESC, i.number, e.what, e.whose
