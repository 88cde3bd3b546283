-- NPS over time
-- The net promoter score by month: the share of those who gave 9 or 10 less the share of those who
-- gave 0 to 6, of the first answer from 0 to 10 in each response to a survey of the type nps.
-- chart: line month:ordinal nps:quantitative
WITH scores AS (
  SELECT
    substr(r.submitted_at, 1, 7) || '-01' AS month,
    (
      SELECT CAST(w.value AS INTEGER) FROM survey_answers AS w
      WHERE w.survey_response_id = r.id
        AND w.value NOT GLOB '*[^0-9]*' AND w.value != '' AND CAST(w.value AS INTEGER) <= 10
      ORDER BY w.position LIMIT 1
    ) AS score
  FROM survey_responses AS r
  JOIN surveys AS s ON s.id = r.survey_id
  WHERE lower(s.type) = 'nps' AND r.submitted_at IS NOT NULL
    AND r.deleted_at IS NULL AND r.placeholder = 0
    AND s.deleted_at IS NULL AND s.placeholder = 0
)
SELECT
  c.month,
  count(*) AS answers,
  count(*) FILTER (WHERE c.score >= 9) AS promoters,
  count(*) FILTER (WHERE c.score BETWEEN 7 AND 8) AS passives,
  count(*) FILTER (WHERE c.score <= 6) AS detractors,
  round(100.0 * avg((c.score >= 9) - (c.score <= 6)), 1) AS nps
FROM scores AS c
WHERE c.score IS NOT NULL
GROUP BY c.month
ORDER BY c.month DESC
