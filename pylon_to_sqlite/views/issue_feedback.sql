-- What customers said and were told, one row an issue: public messages only. Where Pylon has no
-- messages of an issue at all, its body stands in; beside private notes alone, the body may be one.
SELECT
  i.id AS issue_id, -- The issue's id.
  i.number, -- The number people use.
  i.title, -- Title.
  i.state, -- A slug of issue_statuses.
  i.source, -- Channel.
  lower(i.type) AS type, -- conversation or ticket.
  (SELECT a.name FROM accounts AS a WHERE a.id = i.account_id) AS account, -- The customer's company.
  (SELECT t.name FROM teams AS t WHERE t.id = i.team_id) AS team, -- The team it is assigned to.
  (SELECT u.email FROM users AS u WHERE u.id = i.assignee_id) AS assignee_email, -- Address of the user it is assigned to.
  i.tags, -- Tags, a JSON array.
  i.link, -- The issue in Pylon.
  i.created_at, -- When it was opened, UTC.
  coalesce(
    (
      SELECT group_concat(said.message_text, char(10, 10))
      FROM (
        SELECT m.message_text FROM issue_messages AS m
        WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL
        ORDER BY m.timestamp, m.rowid
      ) AS said
    ),
    -- Deleted ones count, and so do those that no sync has come to since the issue changed: nobody
    -- knows what they are.
    CASE WHEN NOT EXISTS (SELECT 1 FROM issue_messages AS m WHERE m.issue_id = i.id)
      AND EXISTS (
        SELECT 1 FROM _pylon_children AS c
        WHERE c.stream = 'issue_messages' AND c.parent = i.id
          AND c.read_for IS i.updated_at AND c.again_at IS NULL
      )
    THEN i.body_text END
  ) AS text -- Its public messages, oldest first, a blank line between them.
FROM issues AS i
WHERE i.deleted_at IS NULL AND i.placeholder = 0
