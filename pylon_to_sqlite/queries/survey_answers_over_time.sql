-- Survey answers over time
-- Answers to each question of each survey by month: how many, the mean of those that are numbers,
-- and how many are words.
-- chart: bar month:ordinal answers:quantitative survey
WITH answers AS (
  SELECT
    substr(r.submitted_at, 1, 7) || '-01' AS month,
    s.name AS survey,
    s.type,
    w.prompt,
    w.position,
    w.value,
    w.value NOT GLOB '*[^0-9.]*' AND w.value GLOB '*[0-9]*' AS is_number
  FROM survey_answers AS w
  JOIN survey_responses AS r ON r.id = w.survey_response_id
  JOIN surveys AS s ON s.id = r.survey_id
  WHERE r.deleted_at IS NULL AND r.placeholder = 0
    AND s.deleted_at IS NULL AND s.placeholder = 0
    AND w.value IS NOT NULL
)
SELECT
  a.month,
  a.survey,
  a.type,
  a.prompt AS question,
  count(*) AS answers,
  round(avg(CAST(a.value AS REAL)) FILTER (WHERE a.is_number), 2) AS mean,
  count(*) FILTER (WHERE NOT a.is_number) AS in_words
FROM answers AS a
GROUP BY a.month, a.survey, a.type, a.prompt
ORDER BY a.month DESC, a.survey, min(a.position), a.prompt
