-- The conversation of one issue
-- All of the issue with this number, oldest first: public messages and private notes, told apart
-- by the column seen_by. Without a number, the newest issue.
SELECT
  i.number,
  i.title,
  m.timestamp,
  CASE m.is_private WHEN 0 THEN 'everybody' ELSE 'us only' END AS seen_by,
  coalesce(m.author_name, c.name, u.name, c.email, u.email, 'unknown') AS author,
  CASE
    WHEN m.author_user_id IS NOT NULL THEN 'us'
    WHEN m.author_contact_id IS NOT NULL THEN 'customer'
    ELSE 'bot'
  END AS side,
  m.message_text,
  m.file_urls,
  m.id
FROM issues AS i
JOIN issue_messages AS m ON m.issue_id = i.id
LEFT JOIN contacts AS c ON c.id = m.author_contact_id
LEFT JOIN users AS u ON u.id = m.author_user_id
WHERE i.number = CASE
  WHEN trim(coalesce(:number, '')) = '' THEN (
    SELECT i.number FROM issues AS i
    WHERE i.deleted_at IS NULL AND i.placeholder = 0 AND EXISTS (
      SELECT 1 FROM issue_messages AS m
      WHERE m.issue_id = i.id AND m.deleted_at IS NULL
    )
    ORDER BY i.created_at DESC, i.id DESC LIMIT 1
  )
  -- Anything but a number is none, and no issue has it.
  WHEN trim(:number, ' #') GLOB '[0-9]*' AND trim(:number, ' #') NOT GLOB '*[^0-9]*'
  THEN CAST(trim(:number, ' #') AS INTEGER)
END
  AND i.deleted_at IS NULL AND i.placeholder = 0 AND m.deleted_at IS NULL
ORDER BY m.timestamp, m.rowid
