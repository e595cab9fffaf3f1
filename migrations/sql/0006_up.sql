-- The recorder: an officer's throw-away session on a site that is not open yet.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['recording', 'recording_way', 'recording_seen', 'recording_cookie', 'recording_answer'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO dask_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;

-- Whether a recording is live: not ended, within its half hour, its log-in goes on, and its officer is
-- still one at the unit.
CREATE FUNCTION dask_recording_live(p_recording uuid, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM recording r JOIN login_session s ON s.id = r.session_id
    JOIN person p ON p.id = r.person_id AND p.active
    WHERE r.id = p_recording AND r.ended_at IS NULL AND r.until > p_now AND r.started_at <= p_now
      AND s.person_id = r.person_id
      AND s.ended_at IS NULL AND s.idle_until > p_now AND s.expires_at > p_now
      AND EXISTS (SELECT FROM staff_role o WHERE o.person_id = r.person_id AND o.unit_id = r.unit_id
        AND o.role = 'security' AND o.starts_at <= now() AND (o.ends_at IS NULL OR o.ends_at > now())))
$$;

-- A ticket to one host, for the actor's own live recording.
CREATE FUNCTION dask_recording_ticket(p_recording uuid, p_session uuid, p_host text, p_hash bytea,
                                      p_until timestamptz, p_now timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM recording r WHERE r.id = p_recording AND r.person_id = dask_actor()
                 AND r.session_id = p_session) OR NOT dask_recording_live(p_recording, p_now) THEN
    RETURN false;
  END IF;
  DELETE FROM recording_way w WHERE w.recording_id = p_recording AND w.host = p_host AND w.token_hash IS NULL;
  INSERT INTO recording_way (id, recording_id, host, ticket_hash, ticket_until)
  VALUES (gen_random_uuid(), p_recording, p_host, p_hash, p_until);
  RETURN true;
END
$$;

-- Take a ticket once. Says true to the first who brings it in time to the host it is for.
CREATE FUNCTION dask_recording_redeem(p_ticket bytea, p_host text, p_token bytea, p_now timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE recording_way w SET token_hash = p_token, ticket_hash = NULL
  WHERE w.ticket_hash = p_ticket AND w.host = p_host AND w.ticket_until > p_now
    AND dask_recording_live(w.recording_id, p_now);
  RETURN FOUND;
END
$$;

-- The officer behind a token of a recording, on the host it was made for: as dask_resume, with the
-- recording. Null from the moment the recording is over.
CREATE FUNCTION dask_recording_resume(p_token bytea, p_host text, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  r recording;
  v_hash bytea;
  v_actor jsonb;
BEGIN
  SELECT c.* INTO r FROM recording_way w JOIN recording c ON c.id = w.recording_id
  WHERE w.token_hash = p_token AND w.host = p_host;
  IF NOT FOUND OR NOT dask_recording_live(r.id, p_now) THEN RETURN NULL; END IF;
  SELECT s.token_hash INTO v_hash FROM login_session s WHERE s.id = r.session_id;
  v_actor := dask_resume(v_hash, p_now);
  IF v_actor IS NULL THEN RETURN NULL; END IF;
  RETURN v_actor || jsonb_build_object('recording', r.id, 'recording_unit', r.unit_id, 'copying', r.copying);
END
$$;

REVOKE ALL ON FUNCTION dask_recording_live(uuid, timestamptz),
  dask_recording_ticket(uuid, uuid, text, bytea, timestamptz, timestamptz),
  dask_recording_redeem(bytea, text, bytea, timestamptz),
  dask_recording_resume(bytea, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_recording_ticket(uuid, uuid, text, bytea, timestamptz, timestamptz),
  dask_recording_redeem(bytea, text, bytea, timestamptz),
  dask_recording_resume(bytea, text, timestamptz) TO dask_web;

-- A recording is its officer's, as long as they are one at the unit. It ends once, and goes whole.
GRANT SELECT, INSERT, DELETE ON recording TO dask_web;
GRANT UPDATE (ended_at, copy_sha256) ON recording TO dask_web;
CREATE POLICY officer_reads_own ON recording FOR SELECT TO dask_web
  USING (person_id = (SELECT dask_actor()) AND unit_id IN (SELECT dask_units('security')));
CREATE POLICY officer_starts ON recording FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND unit_id IN (SELECT dask_units('security'))
    AND ended_at IS NULL
    AND session_id IN (SELECT s.id FROM login_session s WHERE s.person_id = (SELECT dask_actor()) AND s.ended_at IS NULL));
CREATE POLICY officer_ends ON recording FOR UPDATE TO dask_web
  USING (person_id = (SELECT dask_actor()) AND unit_id IN (SELECT dask_units('security')))
  WITH CHECK (person_id = (SELECT dask_actor()) AND ended_at IS NOT NULL);
-- What has ended never goes on.
CREATE FUNCTION dask_recording_ends() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at THEN
    RAISE EXCEPTION 'a recording ends once' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER recording_ends BEFORE UPDATE ON recording FOR EACH ROW EXECUTE FUNCTION dask_recording_ends();
CREATE POLICY officer_throws_away ON recording FOR DELETE TO dask_web
  USING (person_id = (SELECT dask_actor()) AND unit_id IN (SELECT dask_units('security')));
GRANT SELECT (id, started_at, until, ended_at), DELETE ON recording TO dask_worker;
CREATE POLICY worker_sweeps ON recording TO dask_worker USING (true);

-- Nothing of the ways is read or written but by the functions above.
GRANT SELECT ON recording_way TO dask_web;
CREATE POLICY nobody ON recording_way TO dask_web USING (false) WITH CHECK (false);

-- What it saw, remembers and keeps: as the recording itself, whose row the actor must see.
GRANT SELECT, INSERT ON recording_seen, recording_answer TO dask_web;
GRANT UPDATE (query, mime, status, size, text, title, times, wanted, note) ON recording_seen TO dask_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON recording_cookie TO dask_web;
CREATE POLICY own_recording ON recording_seen TO dask_web
  USING (recording_id IN (SELECT r.id FROM recording r)) WITH CHECK (recording_id IN (SELECT r.id FROM recording r));
CREATE POLICY own_recording ON recording_answer TO dask_web
  USING (recording_id IN (SELECT r.id FROM recording r)) WITH CHECK (recording_id IN (SELECT r.id FROM recording r));
CREATE POLICY own_recording ON recording_cookie TO dask_web
  USING (recording_id IN (SELECT r.id FROM recording r)) WITH CHECK (recording_id IN (SELECT r.id FROM recording r));
GRANT SELECT (recording_id), DELETE ON recording_cookie TO dask_worker;
CREATE POLICY worker_sweeps ON recording_cookie TO dask_worker USING (true);
GRANT SELECT (recording_id, key) ON recording_answer TO dask_worker;
CREATE POLICY worker_reads ON recording_answer FOR SELECT TO dask_worker USING (true);
