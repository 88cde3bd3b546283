-- Calls that were recorded, with the customer's name.
SELECT
  k.id, -- The recording's id.
  k.title, -- Title.
  k.source, -- Recorder, such as gong.
  k.account_id, -- The customer's company.
  (SELECT a.name FROM accounts AS a WHERE a.id = k.account_id) AS account, -- Its name.
  k.start_time, -- When the call began, UTC.
  k.end_time, -- When it ended, UTC.
  round(k.duration_ms / 60000.0, 1) AS minutes, -- How long it took, minutes.
  k.participant_emails, -- Who took part, a JSON array of addresses.
  k.summary, -- What was said, in short.
  k.url -- Where it can be heard.
FROM call_recordings AS k
WHERE k.deleted_at IS NULL AND k.placeholder = 0
