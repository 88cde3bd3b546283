-- SLA breaches
-- Issues of the last four weeks before the last sync whose first response or resolution came
-- after it was due, or is due and has not come, by the times of the issue and of each of its teams.
-- Choose another time with since and until (UTC, such as 2026-07-01). Latest due first, 500 at most.
WITH clock AS (
  SELECT coalesce(
    (SELECT r.started_at FROM _pylon_runs AS r ORDER BY r.id DESC LIMIT 1),
    (SELECT max(i.updated_at) FROM issues AS i)
  ) AS at
),
closed(state) AS (
  SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
),
chosen AS MATERIALIZED (
  SELECT i.rowid AS row
  FROM clock, issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND i.created_at >= coalesce(
      nullif(:since, ''), date(clock.at, 'weekday 0', '-6 days', '-28 days')
    )
    AND (coalesce(:until, '') = '' OR i.created_at < :until)
),
promises AS (
  SELECT
    i.rowid AS row, 'the issue' AS whose, 'first response' AS what,
    i.first_response_breach_time AS due, i.first_response_time AS reached
  FROM chosen AS c JOIN issues AS i ON i.rowid = c.row
  UNION ALL
  SELECT i.rowid, 'the issue', 'resolution', i.resolution_breach_time, i.resolution_time
  FROM chosen AS c JOIN issues AS i ON i.rowid = c.row
  UNION ALL
  SELECT
    i.rowid,
    coalesce(
      (SELECT t.name FROM teams AS t WHERE t.id = json_extract(j.value, '$.team_id')), 'a team'
    ),
    'first response',
    json_extract(j.value, '$.first_response.breach_time'),
    json_extract(j.value, '$.first_response.time')
  FROM chosen AS c JOIN issues AS i ON i.rowid = c.row
  JOIN json_each(iif(json_valid(i.team_slas), i.team_slas, '[]')) AS j
  WHERE j.type = 'object'
  UNION ALL
  SELECT
    i.rowid,
    coalesce(
      (SELECT t.name FROM teams AS t WHERE t.id = json_extract(j.value, '$.team_id')), 'a team'
    ),
    'resolution',
    json_extract(j.value, '$.resolution.breach_time'),
    json_extract(j.value, '$.resolution.time')
  FROM chosen AS c JOIN issues AS i ON i.rowid = c.row
  JOIN json_each(iif(json_valid(i.team_slas), i.team_slas, '[]')) AS j
  WHERE j.type = 'object'
),
-- What never came was late until the issue was closed, and is for as long as it is open.
ended AS (
  SELECT
    p.row, p.whose, p.what, p.due, nullif(p.reached, '') AS reached,
    coalesce(
      nullif(p.reached, ''),
      CASE WHEN coalesce(i.state, '') IN closed THEN i.resolution_time ELSE clock.at END
    ) AS end
  FROM clock, promises AS p JOIN issues AS i ON i.rowid = p.row
  WHERE p.due != ''
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
  round((julianday(e.end) - julianday(e.due)) * 24, 1) AS hours_late,
  i.link
FROM ended AS e
JOIN issues AS i ON i.rowid = e.row
WHERE e.end > e.due
ORDER BY e.due DESC, i.number, e.what, e.whose
LIMIT 500
