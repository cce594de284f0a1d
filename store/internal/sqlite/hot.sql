-- What senders write all the time is one statement: the insertion of rows into a
-- view whose triggers do the work. Outside a transaction such a statement is one of
-- its own, from the writer's lock to the sync. So while the lock is held nothing
-- waits for the scheduler of Go, which under load takes longer than the work:
-- everybody else waits for the lock meanwhile.
--
-- Deliveries are named by their IDs. The + before other columns (+campaign, +state)
-- keeps SQLite from looking them up by an index on those, which would read all that
-- is queued of a campaign.
--
-- Views and triggers are temporary: each connection that writes has them, and the
-- schema of the database knows nothing of them.

CREATE TEMP VIEW step (
  campaign, phase, lease, was, state, kind, tried, counted, chunk, at, relay, point, code, enhanced,
  n, ids,                -- how many deliveries, and their IDs (JSON array)
  next_at, events,       -- JSON objects by ID: next_at; at (13 digits) ‖ leaf (8 digits) ‖ t and text, or x and where in raws the reply is
  raws,                  -- sealed replies, one behind another
  chain, entry           -- of the journal; a row with kind entry is that entry itself (see below)
) AS SELECT 0, '', 0, '', '', '', 0, 0, 0, 0, '', '', 0, '', 0, '', '', '', '', 0, 0;

-- An intent: the chunk must be leased under the epoch still.
CREATE TEMP TRIGGER step_intent INSTEAD OF INSERT ON step WHEN NEW.state = 'sending' BEGIN
  UPDATE delivery SET state = 'sending', lease = NEW.lease, first_at = coalesce(first_at, NEW.at)
  WHERE id IN (SELECT value FROM json_each(NEW.ids)) AND +campaign = NEW.campaign AND +state = 'queued'
    AND +chunk IN (SELECT c.id FROM chunk c WHERE c.lease = NEW.lease);
  SELECT raise(ABORT, 'stale')
  WHERE changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  UPDATE campaign_count SET n = n + CASE state WHEN 'sending' THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN ('queued', 'sending');
END;

-- Every other move. To queued without a chunk: the delivery stays in the one in which it
-- is leased. Where nothing was the person's matter, the deadline begins anew.
CREATE TEMP TRIGGER step_move INSTEAD OF INSERT ON step WHEN NEW.state <> 'sending' AND NEW.kind <> 'entry' BEGIN
  UPDATE delivery SET state = NEW.state, attempts = attempts + (NEW.tried AND NOT NEW.counted),
    first_at = CASE WHEN NEW.tried THEN coalesce(first_at, NEW.at) WHEN NEW.kind = 'refusal' OR NEW.kind = 'requeue' THEN NULL ELSE first_at END, next_at = NULL,
    lease = CASE WHEN NEW.lease > 0 THEN NEW.lease ELSE lease END, chunk = CASE WHEN NEW.chunk > 0 THEN NEW.chunk ELSE chunk END
  WHERE NEW.state <> 'deferred' AND id IN (SELECT value FROM json_each(NEW.ids)) AND +campaign = NEW.campaign AND +state = NEW.was
    AND CASE WHEN NEW.lease = 0 THEN 1 WHEN NEW.was = 'queued' THEN chunk IN (SELECT c.id FROM chunk c WHERE c.lease = NEW.lease)
        ELSE lease = NEW.lease END;
  SELECT raise(ABORT, 'stale')
  WHERE NEW.state <> 'deferred' AND changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  UPDATE delivery SET state = NEW.state, attempts = attempts + (NEW.tried AND NOT NEW.counted),
    first_at = CASE WHEN NEW.tried THEN coalesce(first_at, NEW.at) WHEN NEW.kind = 'refusal' OR NEW.kind = 'requeue' THEN NULL ELSE first_at END, next_at = j.value,
    lease = CASE WHEN NEW.lease > 0 THEN NEW.lease ELSE lease END
  FROM json_each(NEW.next_at) j
  WHERE NEW.state = 'deferred' AND delivery.id = CAST(j.key AS INTEGER) AND +campaign = NEW.campaign AND +state = NEW.was
    AND CASE WHEN NEW.lease = 0 THEN 1 WHEN NEW.was = 'queued' THEN chunk IN (SELECT c.id FROM chunk c WHERE c.lease = NEW.lease)
        ELSE lease = NEW.lease END;
  SELECT raise(ABORT, 'stale') WHERE NEW.state = 'deferred' AND changes() <> NEW.n;
  INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, relay, point, code, enhanced, text, raw, chain, entry, leaf)
  SELECT d.id, (SELECT coalesce(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), d.merchant,
         CAST(substr(j.value, 1, 13) AS INTEGER), NEW.kind, NEW.state, d.attempts, NEW.relay, NEW.point, NEW.code, NEW.enhanced,
         CASE substr(j.value, 22, 1) WHEN 't' THEN substr(j.value, 23) ELSE '' END,
         CASE substr(j.value, 22, 1) WHEN 'x' THEN substr(NEW.raws, CAST(substr(j.value, 23, 8) AS INTEGER), CAST(substr(j.value, 31, 8) AS INTEGER)) END, NEW.chain, NEW.entry, CAST(substr(j.value, 14, 8) AS INTEGER)
  FROM json_each(NEW.events) j CROSS JOIN delivery d ON d.id = CAST(j.key AS INTEGER)
  WHERE NEW.kind <> '';
  INSERT INTO campaign_tick (campaign, slot, accepted, first_at, last_at)
  SELECT NEW.campaign, NEW.at / 10000, NEW.n, NEW.at, NEW.at WHERE NEW.state = 'accepted' AND NEW.kind = 'attempt'
  ON CONFLICT (campaign, slot) DO UPDATE SET accepted = accepted + excluded.accepted,
  first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
  UPDATE campaign_count SET n = n + CASE state WHEN NEW.state THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN (NEW.was, NEW.state) AND NEW.was <> NEW.state;
END;

-- The entry of the journal about the steps beside it: n leaves, its hashes and its code.
CREATE TEMP TRIGGER step_entry INSTEAD OF INSERT ON step WHEN NEW.kind = 'entry' BEGIN
  INSERT INTO entry (chain, n, at, leaves, prev, root, hash, code) VALUES (NEW.chain, NEW.entry, NEW.at, NEW.n, NEW.ids, NEW.events, NEW.next_at, NEW.relay);
END;

-- What is rare has a view of its own: every trigger of a view is compiled with every
-- statement on it. Its columns are those of step, but for held, which is why a delivery is
-- kept back.
CREATE TEMP VIEW rare (
  campaign, phase, lease, was, state, kind, tried, counted, chunk, at, relay, point, code, enhanced,
  n, ids, held, events, raws, chain, entry
) AS SELECT 0, '', 0, '', '', '', 0, 0, 0, 0, '', '', 0, '', 0, '', '', '', '', 0, 0;

-- A delivery is kept back: it is queued, and in no chunk.
CREATE TEMP TRIGGER rare_hold INSTEAD OF INSERT ON rare WHEN NEW.kind = 'hold' BEGIN
  UPDATE delivery SET state = 'queued', held = NEW.held, chunk = NULL, lease = NEW.lease, next_at = NULL, first_at = NULL
  WHERE id IN (SELECT value FROM json_each(NEW.ids)) AND +campaign = NEW.campaign AND +state = NEW.was AND held = ''
    AND CASE NEW.was WHEN 'queued' THEN chunk IN (SELECT c.id FROM chunk c WHERE c.lease = NEW.lease) ELSE lease = NEW.lease END;
  SELECT raise(ABORT, 'stale')
  WHERE changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, relay, point, code, enhanced, text, raw, chain, entry, leaf)
  SELECT d.id, (SELECT coalesce(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), d.merchant,
         CAST(substr(j.value, 1, 13) AS INTEGER), NEW.kind, NEW.state, d.attempts, NEW.relay, NEW.point, NEW.code, NEW.enhanced,
         CASE substr(j.value, 22, 1) WHEN 't' THEN substr(j.value, 23) ELSE '' END,
         CASE substr(j.value, 22, 1) WHEN 'x' THEN substr(NEW.raws, CAST(substr(j.value, 23, 8) AS INTEGER), CAST(substr(j.value, 31, 8) AS INTEGER)) END, NEW.chain, NEW.entry, CAST(substr(j.value, 14, 8) AS INTEGER)
  FROM json_each(NEW.events) j CROSS JOIN delivery d ON d.id = CAST(j.key AS INTEGER);
  UPDATE campaign_count SET n = n + CASE state WHEN NEW.state THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN (NEW.was, NEW.state) AND NEW.was <> NEW.state;
END;

-- A delivery that is not to be sent after all: the text of its event is the reason.
CREATE TEMP TRIGGER rare_suppress INSTEAD OF INSERT ON rare WHEN NEW.state = 'suppressed' BEGIN
  UPDATE delivery SET state = 'suppressed', next_at = NULL, held = '', suppressed = substr(j.value, 23)
  FROM json_each(NEW.events) j
  WHERE delivery.id = CAST(j.key AS INTEGER) AND +campaign = NEW.campaign AND +state = NEW.was;
  SELECT raise(ABORT, 'stale')
  WHERE changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, text, chain, entry, leaf)
  SELECT d.id, (SELECT coalesce(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), d.merchant,
         CAST(substr(j.value, 1, 13) AS INTEGER), NEW.kind, NEW.state, d.attempts, substr(j.value, 23),
         NEW.chain, NEW.entry, CAST(substr(j.value, 14, 8) AS INTEGER)
  FROM json_each(NEW.events) j CROSS JOIN delivery d ON d.id = CAST(j.key AS INTEGER);
  UPDATE campaign_count SET n = n + CASE state WHEN NEW.state THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN (NEW.was, NEW.state);
END;
