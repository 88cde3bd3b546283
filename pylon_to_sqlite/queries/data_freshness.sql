-- Freshness of the mirror
-- What each stream holds, when and how its last sync ended, and how many hours ago (by the clock of
-- this machine) it was last read to its end. Stale are issues that changed after their messages or
-- threads were read, or whose are still to be read: the next sync does it. Streams that are
-- mirrored only where somebody asks for them may never have been read.
WITH counted(stream, live_rows) AS MATERIALIZED (
  SELECT 'organization', count(*) FROM organization WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'user_roles', count(*) FROM user_roles WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'users', count(*) FROM users WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'teams', count(*) FROM teams WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'tags', count(*) FROM tags WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'custom_fields', count(*) FROM custom_fields WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'issue_statuses', count(*) FROM issue_statuses WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'activity_types', count(*) FROM activity_types WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'ticket_forms', count(*) FROM ticket_forms WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'accounts', count(*) FROM accounts WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'contacts', count(*) FROM contacts WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'knowledge_bases', count(*) FROM knowledge_bases WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'knowledge_base_collections', count(*) FROM knowledge_base_collections WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'knowledge_base_articles', count(*) FROM knowledge_base_articles WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'macro_groups', count(*) FROM macro_groups WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'macros', count(*) FROM macros WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'training_data', count(*) FROM training_data WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'projects', count(*) FROM projects WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'milestones', count(*) FROM milestones WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'tasks', count(*) FROM tasks WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'feature_requests', count(*) FROM feature_requests WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'surveys', count(*) FROM surveys WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'survey_responses', count(*) FROM survey_responses WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'call_recordings', count(*) FROM call_recordings WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'custom_objects', count(*) FROM custom_objects WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'account_relationships', count(*) FROM account_relationships WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'task_comments', count(*) FROM task_comments WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'audit_logs', count(*) FROM audit_logs WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'issues', count(*) FROM issues WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'issue_threads', count(*) FROM issue_threads WHERE deleted_at IS NULL AND placeholder = 0
  UNION ALL
  SELECT 'issue_messages', count(*) FROM issue_messages WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'issue_followers', count(*) FROM issue_followers WHERE deleted_at IS NULL
  UNION ALL
  SELECT 'issue_voice_calls', count(*) FROM issue_voice_calls WHERE deleted_at IS NULL AND placeholder = 0
),
ends AS (
  SELECT
    n.stream,
    -- Runs are many: only the newest are looked at.
    (
      SELECT e.run FROM _pylon_run_streams AS e
      WHERE e.stream = n.stream ORDER BY e.run DESC LIMIT 1
    ) AS run
  FROM counted AS n
),
-- Marks as they stand in their table: by their key, each would be looked up again.
fresh AS (
  SELECT c.stream, count(*) AS parents
  FROM _pylon_children AS c NOT INDEXED
  CROSS JOIN issues AS i ON i.id = c.parent AND i.updated_at IS c.read_for
  WHERE i.deleted_at IS NULL AND i.placeholder = 0
  GROUP BY c.stream
),
stale AS (
  SELECT n.stream, i.live_rows - coalesce(f.parents, 0) AS parents
  FROM counted AS n
  JOIN counted AS i ON i.stream = 'issues'
  LEFT JOIN fresh AS f ON f.stream = n.stream
  WHERE n.stream IN ('issue_messages', 'issue_threads')
)
SELECT
  n.stream,
  n.live_rows,
  coalesce(e.ended_at, e.started_at) AS last_sync,
  CASE WHEN e.run IS NULL THEN 'never read' ELSE coalesce(e.outcome, 'interrupted') END AS outcome,
  p.completed_at AS last_read_whole,
  round((julianday('now') - julianday(p.completed_at)) * 24, 1) AS hours_ago,
  s.parents AS stale_issues,
  e.error
FROM counted AS n
JOIN ends AS l ON l.stream = n.stream
LEFT JOIN _pylon_run_streams AS e ON e.run = l.run AND e.stream = n.stream
LEFT JOIN _pylon_checkpoints AS p ON p.stream = n.stream
LEFT JOIN stale AS s ON s.stream = n.stream
ORDER BY n.stream
