-- Public messages with these words
-- Messages that customers saw and that hold all of the words, newest first. No private notes.
-- Part of a word matches too; upper and lower case are the same for the letters A to Z.
WITH RECURSIVE split(word, rest) AS (
  SELECT '', trim(replace(replace(coalesce(:words, ''), char(9), ' '), char(10), ' ')) || ' '
  UNION ALL
  SELECT substr(rest, 1, instr(rest, ' ') - 1), ltrim(substr(rest, instr(rest, ' ')))
  FROM split WHERE rest != '' AND rest != ' '
),
words AS (SELECT DISTINCT lower(word) AS word FROM split WHERE word != '')
SELECT
  m.timestamp,
  i.number,
  i.title,
  a.name AS account,
  m.author_name,
  m.message_text,
  m.id
FROM issue_messages AS m
JOIN issues AS i ON i.id = m.issue_id
LEFT JOIN accounts AS a ON a.id = i.account_id
WHERE m.is_private = 0 AND m.deleted_at IS NULL
  AND i.deleted_at IS NULL AND i.placeholder = 0
  AND NOT EXISTS (SELECT 1 FROM words WHERE instr(lower(m.message_text), word) = 0)
  AND m.message_text IS NOT NULL
ORDER BY m.timestamp DESC
LIMIT 200
