-- Notes that only the team saw: whatever is not said to be public counts as one.
SELECT
  m.id, -- The message's id.
  m.issue_id, -- The issue.
  (SELECT i.number FROM issues AS i WHERE i.id = m.issue_id) AS number, -- The issue's number.
  (SELECT i.title FROM issues AS i WHERE i.id = m.issue_id) AS title, -- The issue's title.
  m.timestamp, -- When it was written, UTC.
  coalesce(
    m.author_name,
    (SELECT coalesce(c.name, c.email) FROM contacts AS c WHERE c.id = m.author_contact_id),
    (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = m.author_user_id)
  ) AS author, -- Who wrote it.
  m.thread_id, -- The internal thread it stands in.
  m.message_text, -- What was written, as text.
  m.file_urls -- Files, a JSON array of addresses.
FROM issue_messages AS m
WHERE m.is_private IS NOT 0 AND m.deleted_at IS NULL
  AND m.issue_id NOT IN (
    SELECT i.id FROM issues AS i WHERE i.deleted_at IS NOT NULL OR i.placeholder = 1
  )
