-- Issues that are conversations, with the names of who has to do with them.
SELECT
  i.id, -- The issue's id.
  i.number, -- The number people use.
  i.title, -- Title.
  i.state, -- A slug of issue_statuses.
  i.source, -- Channel.
  i.account_id, -- The customer's company.
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account, -- Its name.
  i.requester_email, -- Address of who asked.
  i.assignee_id, -- The user it is assigned to.
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee, -- Their name.
  i.team_id, -- The team it is assigned to.
  (SELECT t.name FROM teams AS t WHERE t.id = i.team_id) AS team, -- Its name.
  i.tags, -- Tags, a JSON array.
  i.created_at, -- When it was opened, UTC.
  i.updated_at, -- Last change, UTC.
  i.latest_message_time, -- Latest message, UTC.
  i.first_response_seconds, -- Time to the first response, seconds.
  i.resolution_time, -- When it was resolved, UTC.
  i.resolution_seconds, -- Time to the resolution, seconds.
  i.link -- The issue in Pylon.
FROM issues AS i
WHERE lower(i.type) = 'conversation' AND i.deleted_at IS NULL AND i.placeholder = 0
