-- Why a session is no longer live, told to whoever still holds its token. Null while it is live, and
-- for a token that never was one.
CREATE FUNCTION dask_session_end(p_token_hash bytea, p_now timestamptz) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT CASE WHEN s.ended_at IS NOT NULL THEN coalesce(s.ended_reason, 'ended')
              WHEN s.expires_at <= p_now OR s.idle_until <= p_now THEN 'ran_out' END
  FROM login_session s WHERE s.token_hash = p_token_hash
$$;

-- One event in the name of the directory.
CREATE FUNCTION dask_log(p_kind text, p_person uuid, p_unit uuid, p_details jsonb, p_address inet,
                         p_request text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO audit_event (kind, actor_id, actor_name, actor_role, unit_id, address, object_type,
                           object_id, subject_id, request_id, details)
  VALUES (p_kind, NULL, 'directory', 'system', p_unit, p_address, 'person', p_person::text, p_person,
          p_request, p_details)
$$;

-- Make our person match what the directory has just said: {"person": id} or {"refused": reason}.
--
-- p_grants is a list of {"role", "unit"} with the slug of the unit. A person with the role student is a
-- student, placed at that unit; all others are staff. Roles that the directory gave and no longer
-- gives end now. Roles given by hand are left alone.
--
-- The web role may call this, because a person who logs in for the first time has no row and so no
-- rights. What that opens, and what holds it shut:
--   * Whoever can run SQL of their own as dask_web can set dask.actor to an operator already, and give
--     roles at the operator's units. This adds the units that have no operator, no more.
--   * It works only while nobody is the actor: not from a page behind the log-in.
--   * It never touches a local account, not by name and not by key: the operator who is there for the
--     day the directory fails cannot be changed, locked out or taken over through it.
--   * A closed account stays closed; a person never turns from student to staff or back.
--   * It writes its own events, in this function: a call that changes anything cannot go unlogged.
CREATE FUNCTION dask_directory_person(p_key text, p_username text, p_name text, p_grants jsonb,
                                      p_address inet, p_request text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  p person;
  v_holder person;
  v_kind text;
  v_units uuid[];
  v_old placement;
  g record;
BEGIN
  IF dask_actor() IS NOT NULL THEN
    RAISE EXCEPTION 'the directory speaks only before log-in' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF coalesce(p_key, '') = '' OR coalesce(p_username, '') = '' THEN
    RAISE EXCEPTION 'a person of the directory has a key and a name' USING ERRCODE = 'check_violation';
  END IF;
  -- Two first log-ins of one person stand in line.
  PERFORM pg_advisory_xact_lock(hashtextextended('dask directory ' || p_key, 0));
  SELECT * INTO p FROM person WHERE directory_key = p_key FOR NO KEY UPDATE;
  IF p.id IS NOT NULL AND NOT p.active THEN
    RETURN jsonb_build_object('refused', 'account_closed', 'person', p.id);
  END IF;

  SELECT array_agg(DISTINCT u.id) INTO v_units
  FROM jsonb_to_recordset(p_grants) AS w(role text, unit text) JOIN unit u ON u.slug = w.unit
  WHERE w.role = 'student';
  v_kind := CASE WHEN v_units IS NULL THEN 'staff' ELSE 'student' END;
  IF p.id IS NOT NULL AND p.kind <> v_kind AND jsonb_array_length(p_grants) > 0 THEN
    RETURN jsonb_build_object('refused', 'kind_changed', 'person', p.id);
  END IF;
  IF v_kind = 'student' AND (cardinality(v_units) > 1 OR EXISTS (
      SELECT FROM jsonb_to_recordset(p_grants) AS w(role text, unit text) WHERE w.role <> 'student')) THEN
    RETURN jsonb_build_object('refused', 'student_and_more', 'person', p.id);
  END IF;

  IF p.id IS NULL OR p.username <> p_username THEN
    SELECT * INTO v_holder FROM person WHERE username = p_username AND id IS DISTINCT FROM p.id;
    IF v_holder.id IS NOT NULL THEN
      IF v_holder.directory_key IS NULL OR v_holder.active THEN
        RETURN jsonb_build_object('refused', 'name_taken', 'person', p.id);
      END IF;
      -- The account was deleted and made anew in the directory: somebody else, with a name set free.
      UPDATE person SET username = left(username, 80) || '~' || left(id::text, 8) WHERE id = v_holder.id;
    END IF;
  END IF;

  IF p.id IS NULL THEN
    IF jsonb_array_length(p_grants) = 0 THEN
      RETURN jsonb_build_object('refused', 'no_role', 'person', NULL);
    END IF;
    INSERT INTO person (id, kind, username, display_name, locale, directory_key, active, created_at)
    VALUES (gen_random_uuid(), v_kind, p_username, p_name, 'nb', p_key, true, now())
    RETURNING * INTO p;
    PERFORM dask_log('person.created', p.id, v_units[1], '{}', p_address, p_request);
  ELSIF (p.username, p.display_name) IS DISTINCT FROM (p_username, p_name) THEN
    UPDATE person SET username = p_username, display_name = p_name WHERE id = p.id;
    PERFORM dask_log('person.changed', p.id, NULL, '{"what": "name"}', p_address, p_request);
  END IF;

  IF p.kind = 'student' THEN
    SELECT * INTO v_old FROM placement WHERE person_id = p.id AND ends_at IS NULL;
    IF v_old.unit_id IS DISTINCT FROM v_units[1] THEN
      IF v_old.id IS NOT NULL THEN
        UPDATE placement SET ends_at = greatest(now(), starts_at + interval '1 microsecond')
        WHERE id = v_old.id;
        UPDATE login_session SET ended_at = now(), ended_reason = 'moved'
        WHERE person_id = p.id AND ended_at IS NULL;
        PERFORM dask_log('person.placed', p.id, v_old.unit_id, '{"what": "ended"}', p_address, p_request);
      END IF;
      IF v_units IS NOT NULL THEN
        INSERT INTO placement (id, person_id, unit_id, starts_at)
        VALUES (gen_random_uuid(), p.id, v_units[1], now());
        PERFORM dask_log('person.placed', p.id, v_units[1], '{"what": "began"}', p_address, p_request);
      END IF;
    END IF;
    RETURN jsonb_build_object('person', p.id);
  END IF;

  FOR g IN
    UPDATE staff_role r SET ends_at = now()
    WHERE r.person_id = p.id AND r.source = 'directory' AND r.ends_at IS NULL AND NOT EXISTS (
      SELECT FROM jsonb_to_recordset(p_grants) AS w(role text, unit text) JOIN unit u ON u.slug = w.unit
      WHERE w.role = r.role AND u.id = r.unit_id)
    RETURNING r.role, r.unit_id
  LOOP
    PERFORM dask_log('role.ended', p.id, g.unit_id, jsonb_build_object('role', g.role), p_address, p_request);
  END LOOP;
  FOR g IN
    INSERT INTO staff_role (id, person_id, unit_id, role, source, starts_at)
    SELECT gen_random_uuid(), p.id, u.id, w.role, 'directory', now()
    FROM (SELECT DISTINCT w.role, w.unit FROM jsonb_to_recordset(p_grants) AS w(role text, unit text)) w
    JOIN unit u ON u.slug = w.unit
    WHERE NOT EXISTS (SELECT FROM staff_role r WHERE r.person_id = p.id AND r.role = w.role
                      AND r.unit_id = u.id AND r.ends_at IS NULL)
    RETURNING role, unit_id
  LOOP
    PERFORM dask_log('role.granted', p.id, g.unit_id, jsonb_build_object('role', g.role), p_address, p_request);
  END LOOP;
  RETURN jsonb_build_object('person', p.id);
END
$$;

REVOKE ALL ON FUNCTION dask_session_end(bytea, timestamptz),
  dask_log(text, uuid, uuid, jsonb, inet, text),
  dask_directory_person(text, text, text, jsonb, inet, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_session_end(bytea, timestamptz),
  dask_directory_person(text, text, text, jsonb, inet, text) TO dask_web;
