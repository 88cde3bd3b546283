-- Public messages with these words
-- Messages that customers saw and that hold all of the words, newest first, 200 at most. No
-- private notes. A word matches its other forms (export, exports, exported), with or without
-- accents, and longer words that begin with it. Without words, the newest messages.
WITH RECURSIVE split(word, rest) AS (
  SELECT '', replace(replace(coalesce(:words, ''), char(9), ' '), char(10), ' ') || ' '
  UNION ALL
  SELECT substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1)
  FROM split WHERE rest != ''
),
wanted AS (
  SELECT coalesce(group_concat('"' || replace(word, '"', '""') || '" *', ' '), '""') AS words
  FROM split WHERE word != ''
)
SELECT
  m.timestamp,
  i.number,
  i.title,
  a.name AS account,
  m.author_name,
  m.message_text,
  m.id
FROM issue_messages AS m
-- From the newest on, whatever SQLite thinks of it: in that order it can stop early.
CROSS JOIN issues AS i ON i.id = m.issue_id
LEFT JOIN accounts AS a ON a.id = i.account_id
WHERE (
    trim(coalesce(:words, '')) = '' OR m.rowid IN (
      SELECT rowid FROM issue_messages_fts
      WHERE issue_messages_fts MATCH (SELECT words FROM wanted)
    )
  )
  AND m.is_private = 0 AND m.deleted_at IS NULL
  AND i.deleted_at IS NULL AND i.placeholder = 0
ORDER BY m.timestamp DESC
LIMIT 200
