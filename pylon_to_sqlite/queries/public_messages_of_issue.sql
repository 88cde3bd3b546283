-- Public messages of an issue
-- What the customer saw of the issue with this number, oldest first. No private notes. Without
-- a number, the newest issue.
SELECT
  i.number,
  i.title,
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
WHERE i.number = CASE
  WHEN trim(coalesce(:number, '')) = '' THEN (
    SELECT i.number FROM issues AS i
    WHERE i.deleted_at IS NULL AND i.placeholder = 0 AND EXISTS (
      SELECT 1 FROM issue_messages AS m
      WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL
    )
    ORDER BY i.created_at DESC, i.id DESC LIMIT 1
  )
  -- Anything but a number is none, and no issue has it.
  WHEN trim(:number, ' #') GLOB '[0-9]*' AND trim(:number, ' #') NOT GLOB '*[^0-9]*'
  THEN CAST(trim(:number, ' #') AS INTEGER)
END
  AND i.deleted_at IS NULL AND i.placeholder = 0
  AND m.is_private = 0 AND m.deleted_at IS NULL
ORDER BY m.timestamp, m.rowid
