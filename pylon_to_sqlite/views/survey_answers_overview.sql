-- Answers to surveys with their questions, one row an answer, and the names of who gave them.
SELECT
  r.id AS survey_response_id, -- The response.
  r.survey_id, -- The survey.
  s.name AS survey, -- The survey's name.
  s.type AS survey_type, -- nps, csat or custom.
  r.account_id, -- The company of who answered.
  (SELECT a.name FROM accounts AS a WHERE a.id = r.account_id) AS account, -- Its name.
  (SELECT coalesce(c.name, c.email) FROM contacts AS c WHERE c.id = r.contact_id) AS contact, -- Who answered.
  r.submitted_at, -- When it was sent, UTC.
  w.position, -- Place in the response, from 0.
  w.prompt, -- What was asked.
  w.question_type, -- Kind of question.
  w.value -- What was answered.
FROM survey_answers AS w
JOIN survey_responses AS r ON r.id = w.survey_response_id
JOIN surveys AS s ON s.id = r.survey_id
WHERE r.deleted_at IS NULL AND r.placeholder = 0
  AND s.deleted_at IS NULL AND s.placeholder = 0
