-- Public messages of an issue
-- What the customer saw of the issue with this number, oldest first. No private notes.
SELECT
  m.timestamp,
  m.author_name,
  CASE
    WHEN m.author_user_id IS NOT NULL THEN 'us'
    WHEN m.author_contact_id IS NOT NULL THEN 'customer'
    ELSE 'bot'
  END AS side,
  m.message_text,
  m.source,
  m.id
FROM issues AS i
JOIN issue_messages AS m ON m.issue_id = i.id
WHERE i.number = CAST(:number AS INTEGER)
  AND i.deleted_at IS NULL AND i.placeholder = 0
  AND m.is_private = 0 AND m.deleted_at IS NULL
ORDER BY m.timestamp, m.rowid
