-- next --
-- the next entries to look at: the last of them, and how many
SELECT max(seq), count(*) FROM (
    SELECT seq FROM main._liteferry_log WHERE seq > :seq ORDER BY seq LIMIT :entries)

-- clear_window --
-- what was looked at last time
DELETE FROM temp._liteferry_window

-- clear --
-- what was chosen last time
DELETE FROM temp._liteferry_going

-- passed --
-- superfluous entries that the target has come past: pruning takes them
DELETE FROM temp._liteferry_superfluous WHERE seq <= :position

-- choose --
-- superfluous entries that may go, the oldest first; none by which a position of the target may be told
INSERT INTO temp._liteferry_going(seq, at)
SELECT l.seq, l.at FROM temp._liteferry_superfluous AS s CROSS JOIN main._liteferry_log AS l ON l.seq = s.seq
WHERE s.seq > :after AND s.seq <> :first AND s.seq <> :reach AND s.seq < :anchor
ORDER BY s.seq LIMIT :entries

-- chosen --
-- how many entries were chosen, and the last of them
SELECT count(*), max(seq) FROM temp._liteferry_going

-- delete --
-- what was chosen
DELETE FROM main._liteferry_log WHERE seq IN (SELECT seq FROM temp._liteferry_going)

-- note --
-- write down for the entry behind each deleted one how many went, with what was written down for that one
INSERT INTO main._liteferry_gaps(seq, entries, at)
SELECT following, count(*) + coalesce(sum(before), 0), min(at) FROM (
    SELECT (SELECT min(l.seq) FROM main._liteferry_log AS l WHERE l.seq > g.seq) AS following,
        o.entries AS before, min(g.at, coalesce(o.at, g.at)) AS at
    FROM temp._liteferry_going AS g LEFT JOIN main._liteferry_gaps AS o ON o.seq = g.seq)
WHERE true GROUP BY following
ON CONFLICT(seq) DO UPDATE
SET entries = entries + excluded.entries, at = min(coalesce(at, excluded.at), excluded.at)

-- forget_notes --
-- what was written down for deleted entries stands elsewhere now
DELETE FROM main._liteferry_gaps WHERE seq IN (SELECT seq FROM temp._liteferry_going)

-- done --
-- what was deleted is superfluous no more
DELETE FROM temp._liteferry_superfluous WHERE seq IN (SELECT seq FROM temp._liteferry_going)
