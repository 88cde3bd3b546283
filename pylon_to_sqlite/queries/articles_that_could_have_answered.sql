-- Articles that could have answered
-- For each of the 100 newest issues, or the one with this number, the published article that fits
-- the words of its title best, where it has two of them or more; words of three letters or less do
-- not count. The best fits come first.
WITH RECURSIVE chosen AS MATERIALIZED (
  SELECT i.rowid AS row, i.number, i.title, i.created_at
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0 AND i.title IS NOT NULL
    AND (trim(coalesce(:number, '')) = '' OR i.number = CAST(trim(:number, ' #') AS INTEGER))
  ORDER BY i.created_at DESC
  LIMIT 100
),
split(row, word, rest) AS (
  SELECT
    c.row, '', replace(replace(substr(c.title, 1, 300), char(9), ' '), char(10), ' ') || ' '
  FROM chosen AS c
  UNION ALL
  SELECT
    s.row, substr(s.rest, 1, instr(s.rest, ' ') - 1), substr(s.rest, instr(s.rest, ' ') + 1)
  FROM split AS s WHERE s.rest != ''
),
words AS MATERIALIZED (
  SELECT DISTINCT
    s.row,
    '"' || replace(lower(trim(s.word, '?!.,:;()')), '"', '""') || '"' AS word
  FROM split AS s
  WHERE length(trim(s.word, '?!.,:;()')) > 3
),
wanted AS (
  SELECT w.row, group_concat(w.word, ' OR ') AS words, count(*) AS n
  FROM words AS w GROUP BY w.row
),
best AS MATERIALIZED (
  SELECT
    w.row,
    w.n,
    (
      SELECT k.rowid
      FROM knowledge_base_articles_fts
      JOIN knowledge_base_articles AS k ON k.rowid = knowledge_base_articles_fts.rowid
      WHERE knowledge_base_articles_fts MATCH w.words AND k.is_published = 1
      ORDER BY bm25(knowledge_base_articles_fts, 3.0, 1.0)
      LIMIT 1
    ) AS article
  FROM wanted AS w
),
fitting AS (
  SELECT
    b.row,
    b.article,
    b.n,
    (
      SELECT count(*) FROM words AS w
      WHERE w.row = b.row AND EXISTS (
        SELECT 1 FROM knowledge_base_articles_fts
        WHERE knowledge_base_articles_fts MATCH w.word
          AND knowledge_base_articles_fts.rowid = b.article
      )
    ) AS found
  FROM best AS b
)
SELECT
  c.number,
  c.title,
  k.title AS article,
  f.found AS words_found,
  f.n AS words_asked,
  c.created_at,
  k.url
FROM fitting AS f
JOIN chosen AS c ON c.row = f.row
JOIN knowledge_base_articles AS k ON k.rowid = f.article
WHERE f.found > 1
ORDER BY 1.0 * f.found / f.n DESC, f.found DESC, c.created_at DESC, c.number DESC
