-- One row an issue, with every name joined in and its messages counted.
SELECT
  i.id, -- The issue's id.
  i.number, -- The number people use.
  i.title, -- Title.
  lower(i.type) AS type, -- conversation or ticket.
  i.state, -- A slug of issue_statuses.
  coalesce((SELECT s.label FROM issue_statuses AS s WHERE s.slug = i.state), i.state) AS status, -- The state for people.
  coalesce(i.state, '') NOT IN (
    SELECT 'closed' UNION SELECT s.slug FROM issue_statuses AS s WHERE s.category = 'closed'
  ) AS is_open, -- 1 unless the state, or what it counts as, is closed.
  (
    SELECT f.value FROM issue_custom_fields AS f
    WHERE f.issue_id = i.id AND f.slug = 'priority' ORDER BY f.position LIMIT 1
  ) AS priority, -- The custom field of that name.
  i.source, -- Channel.
  i.account_id, -- The customer's company.
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account, -- Its name.
  coalesce(
    (SELECT coalesce(c.name, c.email) FROM contacts AS c WHERE c.id = i.requester_contact_id),
    (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.requester_user_id),
    i.requester_email
  ) AS requester, -- Who asked.
  i.requester_email, -- Their address.
  i.assignee_id, -- The user it is assigned to.
  (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = i.assignee_id) AS assignee, -- Their name.
  i.team_id, -- The team it is assigned to.
  (SELECT t.name FROM teams AS t WHERE t.id = i.team_id) AS team, -- Its name.
  i.tags, -- Tags, a JSON array.
  i.created_at, -- When it was opened, UTC.
  i.updated_at, -- Last change, UTC.
  i.first_response_time, -- First response, UTC.
  i.first_response_seconds, -- Time to the first response, seconds.
  i.resolution_time, -- When it was resolved, UTC.
  i.resolution_seconds, -- Time to the resolution, seconds.
  (
    SELECT count(*) FROM issue_messages AS m
    WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL
  ) AS public_messages, -- Messages that the customer saw.
  (
    SELECT count(*) FROM issue_messages AS m
    WHERE m.issue_id = i.id AND m.is_private IS NOT 0 AND m.deleted_at IS NULL
  ) AS private_notes, -- Notes that only the team saw.
  (
    SELECT min(m.timestamp) FROM issue_messages AS m
    WHERE m.issue_id = i.id AND m.deleted_at IS NULL
  ) AS first_message_at, -- First message, a private note too, UTC.
  (
    SELECT max(m.timestamp) FROM issue_messages AS m
    WHERE m.issue_id = i.id AND m.deleted_at IS NULL
  ) AS last_message_at, -- Last message, a private note too, UTC.
  i.link -- The issue in Pylon.
FROM issues AS i
WHERE i.deleted_at IS NULL AND i.placeholder = 0
