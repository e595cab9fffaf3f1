-- The way out: tickets and sessions of the broker, the log of visits, cookies of sites, supervision.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['broker_session', 'site_visit', 'site_cookie', 'supervision'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO dask_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;

-- A ticket to one host, for the actor's own live session. Given by the school, taken by the broker.
CREATE FUNCTION dask_broker_ticket(p_session uuid, p_host text, p_hash bytea, p_until timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM broker_session b WHERE b.session_id = p_session AND b.host = p_host AND b.token_hash IS NULL;
  INSERT INTO broker_session (id, session_id, person_id, host, ticket_hash, ticket_until)
  SELECT gen_random_uuid(), s.id, s.person_id, p_host, p_hash, p_until FROM login_session s
  WHERE s.id = p_session AND s.person_id = dask_actor() AND s.ended_at IS NULL;
  RETURN FOUND;
END
$$;

-- Take a ticket once. Says true to the first who brings it in time to the host it is for.
CREATE FUNCTION dask_broker_redeem(p_ticket bytea, p_host text, p_token bytea, p_now timestamptz)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE broker_session b SET token_hash = p_token, ticket_hash = NULL
  WHERE b.ticket_hash = p_ticket AND b.host = p_host AND b.ticket_until > p_now
    AND EXISTS (SELECT FROM login_session s WHERE s.id = b.session_id AND s.ended_at IS NULL
      AND s.idle_until > p_now AND s.expires_at > p_now);
  RETURN FOUND;
END
$$;

-- The actor behind a token of the broker, on the host it was made for: as dask_resume, and ended
-- with the session that it came from.
CREATE FUNCTION dask_broker_resume(p_token bytea, p_host text, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_hash bytea;
BEGIN
  SELECT s.token_hash INTO v_hash FROM broker_session b JOIN login_session s ON s.id = b.session_id
  WHERE b.token_hash = p_token AND b.host = p_host;
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN dask_resume(v_hash, p_now);
END
$$;

-- The supervised rules that are open now in a room where the actor may be.
CREATE FUNCTION dask_supervised_now(p_room uuid, p_now timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT DISTINCT v.rule_id::text FROM supervision v
  JOIN login_session s ON s.id = v.session_id
  JOIN person p ON p.id = v.opened_by AND p.active
  WHERE v.room_id = p_room AND v.closed_at IS NULL AND v.until > p_now
    AND s.ended_at IS NULL AND s.idle_until > p_now AND s.expires_at > p_now
    AND EXISTS (SELECT FROM staff_role r WHERE r.person_id = v.opened_by AND r.unit_id = v.unit_id
      AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))
    AND v.unit_id IN (SELECT l.unit_id FROM actor_placement l UNION SELECT a.unit_id FROM actor_role a)
$$;

GRANT EXECUTE ON FUNCTION dask_broker_ticket(uuid, text, bytea, timestamptz),
  dask_broker_redeem(bytea, text, bytea, timestamptz), dask_broker_resume(bytea, text, timestamptz),
  dask_supervised_now(uuid, timestamptz) TO dask_web;

-- Nothing of it is read or written but by the functions above.
GRANT SELECT ON broker_session TO dask_web;
CREATE POLICY nobody ON broker_session TO dask_web USING (false) WITH CHECK (false);
-- A ticket that nobody used; one that was used goes with the session it came from.
GRANT SELECT (token_hash, ticket_until), DELETE ON broker_session TO dask_worker;
CREATE POLICY worker_sweeps ON broker_session TO dask_worker
  USING (token_hash IS NULL AND ticket_until < now());

-- Visits: written in one's own name; read by security at the unit where they happened; never changed.
GRANT SELECT, INSERT ON site_visit TO dask_web;
CREATE POLICY self_inserts ON site_visit FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()));
CREATE POLICY security_reads ON site_visit FOR SELECT TO dask_web
  USING (unit_id IN (SELECT dask_units('security')));
GRANT SELECT (id, at), DELETE ON site_visit TO dask_worker;
CREATE POLICY worker_sweeps ON site_visit TO dask_worker USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON site_cookie TO dask_web;
CREATE POLICY self_all ON site_cookie TO dask_web
  USING (person_id = (SELECT dask_actor())) WITH CHECK (person_id = (SELECT dask_actor()));
GRANT SELECT (expires_at), DELETE ON site_cookie TO dask_worker;
CREATE POLICY worker_sweeps ON site_cookie TO dask_worker USING (expires_at < now());

-- Supervision: opened in one's own name at a unit where one is staff; seen and closed by its staff.
GRANT SELECT, INSERT ON supervision TO dask_web;
GRANT UPDATE (closed_at) ON supervision TO dask_web;
CREATE POLICY staff_read_here ON supervision FOR SELECT TO dask_web
  USING (unit_id IN (SELECT dask_staff_units()));
CREATE POLICY staff_open_here ON supervision FOR INSERT TO dask_web
  WITH CHECK (opened_by = (SELECT dask_actor()) AND unit_id IN (SELECT dask_units('teacher', 'workshop', 'security'))
    AND room_id IN (SELECT r.id FROM room r WHERE r.unit_id = supervision.unit_id)
    AND session_id IN (SELECT s.id FROM login_session s WHERE s.person_id = (SELECT dask_actor()) AND s.ended_at IS NULL));
CREATE POLICY staff_close_here ON supervision FOR UPDATE TO dask_web
  USING (unit_id IN (SELECT dask_units('teacher', 'workshop', 'security')))
  WITH CHECK (closed_at IS NOT NULL);
