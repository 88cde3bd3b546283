-- Search everywhere
-- Issues, messages, articles, accounts and contacts that hold all of the words, 20 of each kind at
-- most, newest first (contacts by name); **so** stands what was found. A word matches its other
-- forms, with or without accents, and longer words that begin with it. Public words only: no
-- private notes, and of an issue with messages only the title. With private = 1, everything.
-- Without words, the newest.
WITH RECURSIVE split(word, rest) AS (
  SELECT '', replace(replace(coalesce(:words, ''), char(9), ' '), char(10), ' ') || ' '
  UNION ALL
  SELECT substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1)
  FROM split WHERE rest != ''
),
quoted AS (
  SELECT
    coalesce(group_concat('"' || replace(s.word, '"', '""') || '" *', ' '), '""') AS words,
    lower(coalesce((SELECT f.word FROM split AS f WHERE f.word != '' LIMIT 1), '')) AS first,
    count(*) AS many
  FROM (SELECT DISTINCT d.word FROM split AS d WHERE d.word != '') AS s
),
wanted AS MATERIALIZED (
  SELECT
    iif(trim(coalesce(:words, '')) = '', NULL, q.words) AS words,
    '{title} : (' || q.words || ')' AS in_title,
    coalesce(:private, '') = '1' AS with_private,
    q.first,
    q.many
  FROM quoted AS q
),
issues_found AS (
  SELECT
    i.rowid AS row, i.created_at AS at, i.number, i.title, i.body_text, i.id,
    (SELECT w.with_private FROM wanted AS w) OR (
        NOT EXISTS (SELECT 1 FROM issue_messages AS m WHERE m.issue_id = i.id)
        AND EXISTS (
          SELECT 1 FROM _pylon_children AS c
          WHERE c.stream = 'issue_messages' AND c.parent = i.id
            AND c.read_for IS i.updated_at AND c.again_at IS NULL
        )
      ) AS with_body
  FROM issues AS i
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
    AND ((SELECT w.words FROM wanted AS w) IS NULL OR i.rowid IN (
        SELECT issues_fts.rowid FROM issues_fts
        WHERE issues_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
      ))
    AND (
      (SELECT w.words FROM wanted AS w) IS NULL
      OR (SELECT w.with_private FROM wanted AS w)
      OR i.rowid IN (
        SELECT issues_fts.rowid FROM issues_fts
        WHERE issues_fts MATCH (SELECT w.in_title FROM wanted AS w)
      )
      OR (
        NOT EXISTS (SELECT 1 FROM issue_messages AS m WHERE m.issue_id = i.id)
        AND EXISTS (
          SELECT 1 FROM _pylon_children AS c
          WHERE c.stream = 'issue_messages' AND c.parent = i.id
            AND c.read_for IS i.updated_at AND c.again_at IS NULL
        )
      )
    )
  ORDER BY i.created_at DESC
  LIMIT 20
),
messages_found AS (
  SELECT
    m.rowid AS row, m.timestamp AS at, i.number, i.title, m.message_text, m.is_private, m.id
  FROM issue_messages AS m
  -- From the newest on, whatever SQLite thinks of it: in that order it can stop early.
  CROSS JOIN issues AS i ON i.id = m.issue_id
  WHERE ((SELECT w.words FROM wanted AS w) IS NULL OR m.rowid IN (
        SELECT issue_messages_fts.rowid FROM issue_messages_fts
        WHERE issue_messages_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
      ))
    AND (m.is_private = 0 OR (SELECT w.with_private FROM wanted AS w)) AND m.deleted_at IS NULL
    AND i.deleted_at IS NULL AND i.placeholder = 0
  ORDER BY m.timestamp DESC
  LIMIT 20
),
articles_found AS (
  SELECT k.rowid AS row, k.last_edited_at AS at, k.title, k.published_text, k.id
  FROM knowledge_base_articles AS k
  WHERE k.deleted_at IS NULL AND (k.is_published = 1 OR (SELECT w.with_private FROM wanted AS w))
    AND ((SELECT w.words FROM wanted AS w) IS NULL OR k.rowid IN (
        SELECT knowledge_base_articles_fts.rowid FROM knowledge_base_articles_fts
        WHERE knowledge_base_articles_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
      ))
  ORDER BY k.last_edited_at DESC
  LIMIT 20
),
accounts_found AS (
  SELECT a.rowid AS row, a.latest_customer_activity_time AS at, a.name, a.id
  FROM accounts AS a
  WHERE a.deleted_at IS NULL AND a.placeholder = 0
    AND ((SELECT w.words FROM wanted AS w) IS NULL OR a.rowid IN (
        SELECT accounts_fts.rowid FROM accounts_fts
        WHERE accounts_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
      ))
  ORDER BY a.latest_customer_activity_time DESC
  LIMIT 20
),
contacts_found AS (
  SELECT p.rowid AS row, p.name, p.email, p.id
  FROM contacts AS p
  WHERE p.deleted_at IS NULL AND p.placeholder = 0
    AND ((SELECT w.words FROM wanted AS w) IS NULL OR p.rowid IN (
        SELECT contacts_fts.rowid FROM contacts_fts
        WHERE contacts_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
      ))
  ORDER BY p.name
  LIMIT 20
),
-- One walk through what matches: each look at one of them would begin with all words that begin
-- with these. What snippet() costs grows by the square of what is found in a text, and no time limit
-- ends it: long texts, such as logs, are not for it. In these, half a second is the worst.
issue_titles AS MATERIALIZED (
  SELECT
    issues_fts.rowid AS row,
    CASE
      WHEN length(issues_fts.title) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(issues_fts, 0, '**', '**', '…', 24)
    END AS found
  FROM issues_fts
  WHERE issues_fts MATCH (SELECT w.in_title FROM wanted AS w)
    AND +issues_fts.rowid IN (SELECT f.row FROM issues_found AS f)
),
issue_words AS MATERIALIZED (
  SELECT
    issues_fts.rowid AS row,
    CASE
      WHEN coalesce(length(issues_fts.title), 0) + coalesce(length(issues_fts.body_text), 0) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(issues_fts, -1, '**', '**', '…', 24)
    END AS found
  FROM issues_fts
  WHERE issues_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
    AND +issues_fts.rowid IN (SELECT f.row FROM issues_found AS f)
),
message_words AS MATERIALIZED (
  SELECT
    issue_messages_fts.rowid AS row,
    CASE
      WHEN length(issue_messages_fts.message_text) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(issue_messages_fts, 0, '**', '**', '…', 24)
    END AS found
  FROM issue_messages_fts
  WHERE issue_messages_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
    AND +issue_messages_fts.rowid IN (SELECT f.row FROM messages_found AS f)
),
article_words AS MATERIALIZED (
  SELECT
    knowledge_base_articles_fts.rowid AS row,
    CASE
      WHEN coalesce(length(knowledge_base_articles_fts.title), 0) + coalesce(length(knowledge_base_articles_fts.published_text), 0) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(knowledge_base_articles_fts, -1, '**', '**', '…', 24)
    END AS found
  FROM knowledge_base_articles_fts
  WHERE knowledge_base_articles_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
    AND +knowledge_base_articles_fts.rowid IN (SELECT f.row FROM articles_found AS f)
),
account_words AS MATERIALIZED (
  SELECT
    accounts_fts.rowid AS row,
    CASE
      WHEN coalesce(length(accounts_fts.name), 0) + coalesce(length(accounts_fts.domains), 0) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(accounts_fts, -1, '**', '**', '…', 24)
    END AS found
  FROM accounts_fts
  WHERE accounts_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
    AND +accounts_fts.rowid IN (SELECT f.row FROM accounts_found AS f)
),
contact_words AS MATERIALIZED (
  SELECT
    contacts_fts.rowid AS row,
    CASE
      WHEN coalesce(length(contacts_fts.name), 0) + coalesce(length(contacts_fts.email), 0) < (SELECT 4000 / w.many FROM wanted AS w)
      THEN snippet(contacts_fts, -1, '**', '**', '…', 24)
    END AS found
  FROM contacts_fts
  WHERE contacts_fts MATCH (SELECT coalesce(w.words, '""') FROM wanted AS w)
    AND +contacts_fts.rowid IN (SELECT f.row FROM contacts_found AS f)
),
everything AS (
  SELECT
    1 AS place, 'issue' AS kind, f.at, f.number, f.title,
    iif(f.with_body, b.found, t.found) AS found,
    iif(
      f.with_body AND instr(lower(f.body_text), (SELECT nullif(w.first, '') FROM wanted AS w)) > 0,
      f.body_text, f.title
    ) AS text,
    f.id
  FROM issues_found AS f
  LEFT JOIN issue_titles AS t ON t.row = f.row
  LEFT JOIN issue_words AS b ON b.row = f.row
  UNION ALL
  SELECT
    2, CASE f.is_private WHEN 0 THEN 'message' ELSE 'private note' END, f.at, f.number, f.title,
    s.found, f.message_text, f.id
  FROM messages_found AS f LEFT JOIN message_words AS s ON s.row = f.row
  UNION ALL
  SELECT
    3, 'article', f.at, NULL, f.title, s.found, f.published_text, f.id
  FROM articles_found AS f LEFT JOIN article_words AS s ON s.row = f.row
  UNION ALL
  SELECT 4, 'account', f.at, NULL, f.name, s.found, f.name, f.id
  FROM accounts_found AS f LEFT JOIN account_words AS s ON s.row = f.row
  UNION ALL
  SELECT 5, 'contact', NULL, NULL, f.name, s.found, f.email, f.id
  FROM contacts_found AS f LEFT JOIN contact_words AS s ON s.row = f.row
),
-- Of a long text, what stands around the first of the words; its other forms are not looked for.
placed AS (
  SELECT
    e.place, e.kind, e.at, e.number, e.title, e.found, e.text, e.id,
    iif(w.first = '', 0, instr(lower(e.text), w.first)) AS start,
    length(w.first) AS width
  FROM everything AS e, wanted AS w
)
SELECT
  p.kind,
  p.number,
  p.title,
  CASE
    WHEN p.found IS NOT NULL THEN p.found
    WHEN coalesce(p.start, 0) = 0 THEN substr(p.text, 1, 200)
    ELSE iif(p.start > 61, '…', '') || substr(p.text, max(1, p.start - 60), min(60, p.start - 1))
      || '**' || substr(p.text, p.start, p.width) || '**'
      || substr(p.text, p.start + p.width, 140) || '…'
  END AS found,
  p.at,
  p.id
FROM placed AS p
ORDER BY p.place, p.at DESC, p.title, p.id
