-- Whitelists: a version comes of a proposal that two officers agree on; a stop takes one, reopening two.

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['whitelist_version', 'whitelist_proposal', 'whitelist_stop', 'site_request'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO dask_owner USING (true) WITH CHECK (true)', t);
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', t);
  END LOOP;
END $$;

-- What the policies ask ------------------------------------------------------------------------

-- Whether somebody other than p_person is a security officer now at a unit that is not among p_units.
-- Told to security officers alone.
CREATE FUNCTION dask_officers_elsewhere(p_person uuid, p_units uuid[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM actor_role a WHERE a.role = 'security') AND EXISTS (
    SELECT FROM staff_role r JOIN person p ON p.id = r.person_id
    WHERE r.role = 'security' AND p.active AND p.kind = 'staff' AND r.person_id <> p_person
      AND r.unit_id <> ALL (p_units)
      AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))
$$;

-- Whether the actor, as the second of two, completes the pair: never one's own proposal; for a unit's
-- rule one of the two is an officer there; for a national rule the two are officers of more than one
-- unit, as long as there is anybody elsewhere to ask.
CREATE FUNCTION dask_may_decide(p_unit uuid, p_proposer uuid, p_units uuid[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p_proposer <> dask_actor()
    AND EXISTS (SELECT FROM actor_role a WHERE a.role = 'security')
    AND CASE WHEN p_unit IS NOT NULL
      THEN p_unit = ANY (p_units)
        OR p_unit IN (SELECT a.unit_id FROM actor_role a WHERE a.role = 'security')
      ELSE cardinality(p_units) > 1
        OR (SELECT count(DISTINCT a.unit_id) FROM actor_role a WHERE a.role = 'security') > 1
        OR EXISTS (SELECT FROM actor_role a WHERE a.role = 'security' AND a.unit_id <> ALL (p_units))
        OR NOT dask_officers_elsewhere(p_proposer, p_units)
      END
$$;

-- Everything that deciding on the actor's request asks of the database, in one row; none without an
-- actor. "everything": all sites are closed to the actor now. "stopped": the rules that are.
-- The room is the one in which the session sits; what the application says of it is believed.
CREATE FUNCTION dask_whitelist_now(p_room uuid)
RETURNS TABLE (newest uuid, number bigint, unit text, level text, courses text[],
               everything boolean, stopped text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH here AS (
    SELECT l.unit_id FROM actor_placement l UNION SELECT a.unit_id FROM actor_role a),
  holding AS (
    SELECT s.kind, s.rule_id FROM whitelist_stop s
    WHERE s.reopened_at IS NULL AND (
      (s.kind = 'rule' AND (s.unit_id IS NULL OR s.unit_id IN (SELECT h.unit_id FROM here h)))
      OR (s.kind = 'unit' AND s.unit_id IN (SELECT h.unit_id FROM here h))
      OR (s.kind = 'student' AND s.person_id = dask_actor())
      OR (s.kind = 'room' AND s.room_id = p_room))),
  top AS (SELECT v.mark, v.number FROM whitelist_version v ORDER BY v.number DESC LIMIT 1),
  -- Staff of several units stand at none of them.
  own AS (SELECT u.slug, u.security_level FROM unit u
          WHERE u.id IN (SELECT h.unit_id FROM here h) AND (SELECT count(*) FROM here) = 1)
  SELECT (SELECT t.mark FROM top t), coalesce((SELECT t.number FROM top t), 0),
    (SELECT o.slug FROM own o), (SELECT o.security_level FROM own o),
    ARRAY(SELECT DISTINCT c.slug FROM course c JOIN course_class k ON k.course_id = c.id
          WHERE k.ended_at IS NULL AND (k.id IN (SELECT o.class_id FROM actor_own_class o)
            OR k.id IN (SELECT t.class_id FROM actor_taught_class t))),
    EXISTS (SELECT FROM holding h WHERE h.kind <> 'rule'),
    ARRAY(SELECT DISTINCT h.rule_id FROM holding h WHERE h.kind = 'rule')
  WHERE dask_actor() IS NOT NULL
$$;

-- The rules in force, without the names of those who made them: every actor's requests are decided by
-- them.
CREATE FUNCTION dask_whitelist_rules() RETURNS TABLE (rule_id text, unit_id uuid, body jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT n.rule_id, n.unit_id, n.body FROM (
    SELECT DISTINCT ON (v.rule_id) v.rule_id, v.unit_id, v.body FROM whitelist_version v
    ORDER BY v.rule_id, v.number DESC) n
  WHERE n.body IS NOT NULL AND dask_actor() IS NOT NULL
$$;

-- Invariants that no caller may break ----------------------------------------------------------

-- A name as the records keep it: with the user name, so that two people never look like one.
CREATE FUNCTION dask_signature(p_person uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT left(p.display_name, 150) || ' (' || p.username || ')' FROM person p WHERE p.id = p_person
$$;

-- A rule says its own id and keeps its place: a unit's rule is for that unit alone, and no unit's
-- proposal takes over a national rule or another unit's by using its id.
CREATE FUNCTION dask_rule_check(p_rule text, p_unit uuid, p_body jsonb) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM whitelist_version v WHERE v.rule_id = p_rule AND v.unit_id IS DISTINCT FROM p_unit) THEN
    RAISE EXCEPTION 'the id belongs to a rule of another place' USING ERRCODE = 'check_violation';
  END IF;
  IF p_body IS NULL THEN RETURN; END IF;
  IF p_body ->> 'id' IS DISTINCT FROM p_rule THEN
    RAISE EXCEPTION 'a rule says its own id' USING ERRCODE = 'check_violation';
  END IF;
  IF p_unit IS NOT NULL AND p_body #> '{scope,units}' IS DISTINCT FROM
      (SELECT jsonb_build_array(u.slug) FROM unit u WHERE u.id = p_unit) THEN
    RAISE EXCEPTION 'a rule of a unit is for that unit alone' USING ERRCODE = 'check_violation';
  END IF;
END
$$;

-- Numbers lie in the order of the commits: the lock is held until then, so that nobody who has seen
-- number n meets a smaller new one later.
CREATE FUNCTION dask_whitelist_number() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('dask whitelist', 0));
  PERFORM dask_rule_check(NEW.rule_id, NEW.unit_id, NEW.body);
  NEW.number := coalesce((SELECT max(v.number) FROM whitelist_version v), 0) + 1;
  NEW.mark := gen_random_uuid();
  RETURN NEW;
END
$$;
CREATE TRIGGER whitelist_number BEFORE INSERT ON whitelist_version
  FOR EACH ROW EXECUTE FUNCTION dask_whitelist_number();

CREATE FUNCTION dask_whitelist_frozen() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a version does not change' USING ERRCODE = 'check_violation';
END
$$;
CREATE TRIGGER whitelist_frozen BEFORE UPDATE OR DELETE ON whitelist_version
  FOR EACH ROW EXECUTE FUNCTION dask_whitelist_frozen();

CREATE FUNCTION dask_proposal_made() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM dask_rule_check(NEW.rule_id, NEW.unit_id, NEW.body);
  NEW.proposed_by := dask_actor();
  NEW.proposed_name := dask_signature(dask_actor());
  NEW.proposer_units := ARRAY(SELECT a.unit_id FROM actor_role a WHERE a.role = 'security' ORDER BY 1);
  NEW.state := 'waiting';
  NEW.decided_by := NULL;
  NEW.decided_name := NULL;
  NEW.decided_at := NULL;
  NEW.answer := '';
  RETURN NEW;
END
$$;
CREATE TRIGGER proposal_made BEFORE INSERT ON whitelist_proposal
  FOR EACH ROW EXECUTE FUNCTION dask_proposal_made();

CREATE FUNCTION dask_proposal_decided() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF OLD.state <> 'waiting' OR NEW.state = 'waiting' THEN
    RAISE EXCEPTION 'a proposal is decided once' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'withdrawn' THEN
    IF OLD.proposed_by IS DISTINCT FROM dask_actor() THEN
      RAISE EXCEPTION 'only who proposed takes it back' USING ERRCODE = 'insufficient_privilege';
    END IF;
  ELSIF dask_may_decide(OLD.unit_id, OLD.proposed_by, OLD.proposer_units) IS NOT TRUE THEN
    RAISE EXCEPTION 'another officer decides' USING ERRCODE = 'insufficient_privilege';
  END IF;
  NEW.decided_by := dask_actor();
  NEW.decided_name := dask_signature(dask_actor());
  RETURN NEW;
END
$$;
CREATE TRIGGER proposal_decided BEFORE UPDATE ON whitelist_proposal
  FOR EACH ROW EXECUTE FUNCTION dask_proposal_decided();

-- What follows from the decision: the version, with the two people in it, and the wish's next state.
CREATE FUNCTION dask_proposal_takes_effect() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.state <> 'approved' THEN
    UPDATE site_request SET state = 'open' WHERE id = NEW.request_id AND state = 'proposed';
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('dask whitelist', 0));
  IF (SELECT max(v.number) FROM whitelist_version v WHERE v.rule_id = NEW.rule_id)
      IS DISTINCT FROM NEW.based_on THEN
    RAISE EXCEPTION 'the rule has changed since it was proposed' USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO whitelist_version (rule_id, unit_id, body, proposal_id, proposed_name, approved_name,
                                 reason, at)
  VALUES (NEW.rule_id, NEW.unit_id,
    NEW.body || jsonb_build_object('author', NEW.proposed_name, 'reviewer', NEW.decided_name),
    NEW.id, NEW.proposed_name, NEW.decided_name, NEW.reason, NEW.decided_at);
  UPDATE site_request SET state = 'opened', answered_at = NEW.decided_at
  WHERE id = NEW.request_id AND state = 'proposed';
  RETURN NULL;
END
$$;
CREATE TRIGGER proposal_takes_effect AFTER UPDATE ON whitelist_proposal
  FOR EACH ROW EXECUTE FUNCTION dask_proposal_takes_effect();

CREATE FUNCTION dask_stop_made() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  NEW.stopped_by := dask_actor();
  NEW.stopped_name := dask_signature(dask_actor());
  NEW.reopen_asked_by := NULL;
  NEW.reopen_asked_name := NULL;
  NEW.reopen_asked_at := NULL;
  NEW.reopened_by := NULL;
  NEW.reopened_name := NULL;
  NEW.reopened_at := NULL;
  RETURN NEW;
END
$$;
CREATE TRIGGER stop_made BEFORE INSERT ON whitelist_stop
  FOR EACH ROW EXECUTE FUNCTION dask_stop_made();

-- One officer asks to reopen, another one agrees; anybody may say no, and it can be asked anew.
CREATE FUNCTION dask_stop_reopens() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF OLD.reopened_at IS NOT NULL THEN
    RAISE EXCEPTION 'it is open again already' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.reopened_at IS NOT NULL THEN
    IF OLD.reopen_asked_by IS NULL OR OLD.reopen_asked_by IS NOT DISTINCT FROM dask_actor() THEN
      RAISE EXCEPTION 'reopening takes two' USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.reopen_asked_by := OLD.reopen_asked_by;
    NEW.reopen_asked_name := OLD.reopen_asked_name;
    NEW.reopen_asked_at := OLD.reopen_asked_at;
    NEW.reopen_reason := OLD.reopen_reason;
    NEW.reopened_by := dask_actor();
    NEW.reopened_name := dask_signature(dask_actor());
  ELSIF NEW.reopen_asked_at IS NOT NULL THEN
    IF OLD.reopen_asked_at IS NOT NULL THEN
      RAISE EXCEPTION 'somebody has asked already' USING ERRCODE = 'check_violation';
    END IF;
    NEW.reopen_asked_by := dask_actor();
    NEW.reopen_asked_name := dask_signature(dask_actor());
  ELSE
    NEW.reopen_asked_by := NULL;
    NEW.reopen_asked_name := NULL;
    NEW.reopen_reason := '';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER stop_reopens BEFORE UPDATE ON whitelist_stop
  FOR EACH ROW EXECUTE FUNCTION dask_stop_reopens();

-- Who answered is who acts, and the answer is gone when the wish is open again.
CREATE FUNCTION dask_request_answered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.state IN ('refused', 'opened') THEN
    NEW.answered_by := dask_actor();
    NEW.answered_name := (SELECT p.display_name FROM person p WHERE p.id = dask_actor());
  ELSE
    NEW.answered_by := NULL;
    NEW.answered_name := NULL;
    NEW.answered_at := NULL;
    NEW.answer := '';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER request_answered BEFORE INSERT OR UPDATE ON site_request
  FOR EACH ROW EXECUTE FUNCTION dask_request_answered();

REVOKE ALL ON FUNCTION dask_officers_elsewhere(uuid, uuid[]), dask_may_decide(uuid, uuid, uuid[]),
  dask_whitelist_now(uuid), dask_whitelist_rules(), dask_signature(uuid),
  dask_rule_check(text, uuid, jsonb), dask_whitelist_number(), dask_whitelist_frozen(),
  dask_proposal_made(), dask_proposal_decided(), dask_proposal_takes_effect(), dask_stop_made(),
  dask_stop_reopens(), dask_request_answered() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_officers_elsewhere(uuid, uuid[]), dask_may_decide(uuid, uuid, uuid[]),
  dask_whitelist_now(uuid), dask_whitelist_rules() TO dask_web;

-- Versions and proposals: known to every security officer of the house ---------------------------
GRANT SELECT ON whitelist_version TO dask_web;
CREATE POLICY security_reads ON whitelist_version FOR SELECT TO dask_web
  USING (EXISTS (SELECT dask_units('security')));
-- The nightly reminder.
GRANT SELECT (number, rule_id, unit_id, body) ON whitelist_version TO dask_worker;
CREATE POLICY worker_reads ON whitelist_version FOR SELECT TO dask_worker USING (true);

GRANT SELECT, INSERT ON whitelist_proposal TO dask_web;
GRANT UPDATE (state, decided_at, answer) ON whitelist_proposal TO dask_web;
CREATE POLICY security_reads ON whitelist_proposal FOR SELECT TO dask_web
  USING (EXISTS (SELECT dask_units('security')));
CREATE POLICY security_inserts ON whitelist_proposal FOR INSERT TO dask_web
  WITH CHECK (EXISTS (SELECT dask_units('security')) AND proposed_by = (SELECT dask_actor()) AND state = 'waiting');
CREATE POLICY proposer_withdraws ON whitelist_proposal FOR UPDATE TO dask_web
  USING (proposed_by = (SELECT dask_actor()) AND state = 'waiting')
  WITH CHECK (proposed_by = (SELECT dask_actor()) AND state = 'withdrawn');
CREATE POLICY another_decides ON whitelist_proposal FOR UPDATE TO dask_web
  USING (state = 'waiting' AND dask_may_decide(unit_id, proposed_by, proposer_units))
  WITH CHECK (state IN ('approved', 'refused') AND decided_by = (SELECT dask_actor())
              AND dask_may_decide(unit_id, proposed_by, proposer_units));

-- Stops ----------------------------------------------------------------------------------------
GRANT SELECT, INSERT ON whitelist_stop TO dask_web;
GRANT UPDATE (reopen_asked_at, reopen_reason, reopened_at) ON whitelist_stop TO dask_web;
CREATE POLICY security_reads ON whitelist_stop FOR SELECT TO dask_web
  USING (CASE WHEN kind = 'student' THEN dask_unit_of(person_id) IN (SELECT dask_units('security'))
              WHEN unit_id IS NULL THEN EXISTS (SELECT dask_units('security'))
              ELSE unit_id IN (SELECT dask_units('security')) END);
CREATE POLICY security_inserts ON whitelist_stop FOR INSERT TO dask_web
  WITH CHECK (stopped_by = (SELECT dask_actor()) AND CASE
    WHEN kind = 'rule' AND unit_id IS NULL THEN EXISTS (SELECT dask_units('security'))
    WHEN unit_id NOT IN (SELECT dask_units('security')) THEN false
    WHEN kind = 'student' THEN dask_unit_of(person_id) = unit_id
    WHEN kind = 'room' THEN EXISTS (SELECT FROM room r WHERE r.id = room_id AND r.unit_id = whitelist_stop.unit_id)
    ELSE true END);
CREATE POLICY security_reopens ON whitelist_stop FOR UPDATE TO dask_web
  USING (CASE WHEN kind = 'student' THEN dask_unit_of(person_id) IN (SELECT dask_units('security'))
              WHEN unit_id IS NULL THEN EXISTS (SELECT dask_units('security'))
              ELSE unit_id IN (SELECT dask_units('security')) END);

-- Wishes: the asker's, security's where the asker is, and the student's teachers' -----------------
GRANT SELECT, INSERT ON site_request TO dask_web;
GRANT UPDATE (state, answer, answered_at) ON site_request TO dask_web;
CREATE POLICY self_reads ON site_request FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY security_reads ON site_request FOR SELECT TO dask_web
  USING (CASE WHEN by_student THEN dask_unit_of(person_id) IN (SELECT dask_units('security'))
              ELSE unit_id IN (SELECT dask_units('security')) END);
CREATE POLICY teacher_reads ON site_request FOR SELECT TO dask_web
  USING (by_student AND person_id IN (SELECT s.person_id FROM dask_taught_students() s));
CREATE POLICY self_inserts ON site_request FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND state = 'open' AND CASE
    WHEN by_student THEN unit_id = dask_unit_of(person_id) AND NOT EXISTS (SELECT dask_staff_units())
    ELSE unit_id IN (SELECT dask_units('teacher'))
      AND (class_id IS NULL OR class_id IN (SELECT dask_taught_classes())) END);
CREATE POLICY self_withdraws ON site_request FOR UPDATE TO dask_web
  USING (person_id = (SELECT dask_actor()) AND state = 'open')
  WITH CHECK (person_id = (SELECT dask_actor()) AND state = 'withdrawn');
CREATE POLICY security_answers ON site_request FOR UPDATE TO dask_web
  USING (state = 'open' AND CASE WHEN by_student THEN dask_unit_of(person_id) IN (SELECT dask_units('security'))
                                 ELSE unit_id IN (SELECT dask_units('security')) END)
  WITH CHECK (state IN ('proposed', 'refused')
    AND CASE WHEN by_student THEN dask_unit_of(person_id) IN (SELECT dask_units('security'))
             ELSE unit_id IN (SELECT dask_units('security')) END);
