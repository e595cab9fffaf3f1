-- The vocabulary that row policies are written in.
--
-- Each function reads the tables as their owner (SECURITY DEFINER) but answers only about the actor
-- of the present transaction, so that the web role learns nothing from calling it by hand.
-- "now" is the transaction's start: a right that ended a second ago is gone at the next request.

CREATE FUNCTION dask_actor() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('dask.actor', true), '')::uuid
$$;

-- Who the actor is, in four views that nobody but the owner may read. The functions below are made of
-- them: a view is planned together with what asks for it, while a function that calls a function is
-- started anew each time, and these run several times in every request.
CREATE VIEW actor_role AS
  SELECT r.unit_id, r.role FROM staff_role r JOIN person p ON p.id = r.person_id
  WHERE r.person_id = dask_actor() AND p.active AND p.kind = 'staff'
    AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now());

CREATE VIEW actor_placement AS
  SELECT l.unit_id FROM placement l
  WHERE l.person_id = dask_actor() AND l.starts_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now());

-- While the teacher role holds at the class's unit.
CREATE VIEW actor_taught_class AS
  SELECT t.class_id, c.unit_id FROM class_teacher t JOIN course_class c ON c.id = t.class_id
  WHERE t.person_id = dask_actor()
    AND c.unit_id IN (SELECT a.unit_id FROM actor_role a WHERE a.role = 'teacher');

-- At the unit of the present placement.
CREATE VIEW actor_own_class AS
  SELECT e.class_id, c.course_id FROM enrolment e JOIN course_class c ON c.id = e.class_id
  WHERE e.person_id = dask_actor() AND e.ended_at IS NULL
    AND c.unit_id IN (SELECT a.unit_id FROM actor_placement a);

-- Units where the actor holds any of the roles now.
CREATE FUNCTION dask_units(VARIADIC p_roles text[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT a.unit_id FROM actor_role a WHERE a.role = ANY (p_roles)
$$;

CREATE FUNCTION dask_staff_units() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT a.unit_id FROM actor_role a
$$;

-- Where a student is placed now: told to the student, and to staff of that very unit. Others get null.
CREATE FUNCTION dask_unit_of(p_person uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT l.unit_id FROM placement l
  WHERE l.person_id = p_person AND l.starts_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())
    AND (l.person_id = dask_actor() OR l.unit_id IN (SELECT a.unit_id FROM actor_role a))
  LIMIT 1
$$;

-- Students placed now at the units where the actor is staff.
CREATE FUNCTION dask_students_here() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT l.person_id FROM placement l
  WHERE l.starts_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())
    AND l.unit_id IN (SELECT a.unit_id FROM actor_role a)
$$;

-- Everybody on the staff of the actor's own units.
CREATE FUNCTION dask_colleagues() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.person_id FROM staff_role r WHERE r.unit_id IN (SELECT a.unit_id FROM actor_role a)
$$;

CREATE FUNCTION dask_taught_classes() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.class_id FROM actor_taught_class t
$$;

-- The unit of a class, told to its teachers.
CREATE FUNCTION dask_taught_unit(p_class uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.unit_id FROM actor_taught_class t WHERE t.class_id = p_class
$$;

CREATE FUNCTION dask_own_classes() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT o.class_id FROM actor_own_class o
$$;

-- Classes the actor attends or has attended: own work still belongs to them.
CREATE FUNCTION dask_ever_own_classes() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT e.class_id FROM enrolment e WHERE e.person_id = dask_actor()
$$;

-- (class, student) pairs of the classes the actor teaches; only students placed at the class's unit now.
CREATE FUNCTION dask_taught_students() RETURNS TABLE (class_id uuid, person_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT e.class_id, e.person_id
  FROM actor_taught_class t
  JOIN enrolment e ON e.class_id = t.class_id
  JOIN placement l ON l.person_id = e.person_id AND l.unit_id = t.unit_id
   AND l.starts_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())
  WHERE e.ended_at IS NULL
$$;

-- Teachers of the classes a student attends: the only people a student may know by name.
CREATE FUNCTION dask_own_teachers() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.person_id FROM class_teacher t WHERE t.class_id IN (SELECT o.class_id FROM actor_own_class o)
  UNION
  SELECT m.marked_by FROM marking m WHERE m.student_id = dask_actor() AND m.returned_at IS NOT NULL
$$;

-- Schools whose courses the actor may edit: those that answer for a unit where the actor teaches.
CREATE FUNCTION dask_own_schools() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT u.school_id FROM unit u
  WHERE u.id IN (SELECT a.unit_id FROM actor_role a WHERE a.role = 'teacher')
$$;

CREATE FUNCTION dask_editable_courses() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.id FROM course c JOIN unit u ON u.school_id = c.school_id
  WHERE u.id IN (SELECT a.unit_id FROM actor_role a WHERE a.role = 'teacher')
$$;

-- Courses the actor may read. Staff: the national ones and those of own schools. Students: those of
-- the classes attended.
CREATE FUNCTION dask_readable_courses() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT o.course_id FROM actor_own_class o
  UNION ALL
  SELECT c.id FROM course c
  WHERE EXISTS (SELECT FROM actor_role) AND (c.school_id IS NULL OR c.school_id IN (
    SELECT u.school_id FROM unit u WHERE u.id IN (SELECT a.unit_id FROM actor_role a)))
$$;

-- Where a stopped file was to be handed in. Security may know that much of the attempt, and no more:
-- the attempt itself, with its text, stays closed to them.
CREATE FUNCTION dask_stopped_files() RETURNS TABLE (file_id uuid, class_name text, title text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT f.id, c.name, i.title
  FROM handin_file f
  JOIN attempt a ON a.id = f.attempt_id
  JOIN course_class c ON c.id = a.class_id
  JOIN course_item i ON i.id = a.item_id
  WHERE f.scan_state IN ('infected', 'refused')
    AND dask_unit_of(f.person_id) IN (SELECT dask_units('security'))
$$;

-- Make the owner of a live session the actor of this transaction and describe them, in one round
-- trip. Null, and no actor, when the session is unknown, ended, idle too long or past its end, or
-- when the person is no longer active, or is a student without a placement.
-- Moves the idle limit along at most once a minute, so that reading a page writes nothing.
CREATE FUNCTION dask_resume(p_token_hash bytea, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  s login_session;
  p person;
  v_unit uuid;
  v_roles jsonb;
BEGIN
  SELECT * INTO s FROM login_session
  WHERE token_hash = p_token_hash AND ended_at IS NULL AND idle_until > p_now AND expires_at > p_now;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT * INTO p FROM person WHERE id = s.person_id AND active;
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM set_config('dask.actor', p.id::text, true);
  IF p.kind = 'student' THEN
    v_unit := dask_unit_of(p.id);
    IF v_unit IS NULL THEN
      PERFORM set_config('dask.actor', '', true);
      RETURN NULL;
    END IF;
    v_roles := jsonb_build_object('student', jsonb_build_array(v_unit));
  ELSE
    SELECT coalesce(jsonb_object_agg(g.role, g.units), '{}') INTO v_roles FROM (
      SELECT r.role, jsonb_agg(DISTINCT r.unit_id) AS units FROM staff_role r
      WHERE r.person_id = p.id AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())
      GROUP BY r.role) g;
  END IF;
  IF p_now - s.seen_at > interval '1 minute' THEN
    UPDATE login_session
    SET seen_at = p_now, idle_until = least(p_now + make_interval(secs => s.idle_seconds), s.expires_at)
    WHERE id = s.id;
  END IF;
  RETURN jsonb_build_object(
    'person', p.id, 'session', s.id, 'username', p.username, 'name', p.display_name,
    'locale', p.locale, 'roles', v_roles, 'units', (
      SELECT coalesce(jsonb_agg(u.name ORDER BY u.name), '[]') FROM unit u
      WHERE u.id = v_unit OR u.id IN (SELECT a.unit_id FROM actor_role a)), 'room', s.room_id, 'expires', s.expires_at,
    'second_factor', s.second_factor_at IS NOT NULL,
    'has_second_factor', EXISTS (
      SELECT FROM totp_secret t WHERE t.person_id = p.id AND t.confirmed_at IS NOT NULL),
    'teaches', (SELECT coalesce(jsonb_agg(t.class_id), '[]') FROM actor_taught_class t),
    'attends', (SELECT coalesce(jsonb_agg(o.class_id), '[]') FROM actor_own_class o));
END
$$;

-- What the log-in needs before anybody is the actor: one account, by its exact name.
CREATE FUNCTION dask_login_lookup(p_username text)
RETURNS TABLE (person_id uuid, kind text, active boolean, directory_key text,
               password_hash text, must_change boolean, unit_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.id, p.kind, p.active, p.directory_key, c.password_hash, coalesce(c.must_change, false),
         (SELECT l.unit_id FROM placement l WHERE l.person_id = p.id AND l.starts_at <= now()
            AND (l.ends_at IS NULL OR l.ends_at > now()) LIMIT 1)
  FROM person p LEFT JOIN local_credential c ON c.person_id = p.id
  WHERE p.username = p_username
$$;

-- Put a job in the queue. The web role may add one and read none.
CREATE FUNCTION dask_defer(p_task text, p_args jsonb, p_queue text, p_lock text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM procrastinate_defer_jobs_v1(ARRAY[
    ROW(p_queue, p_task, 0, p_lock, NULL, p_args, NULL)::procrastinate_job_to_defer_v1]);
END
$$;

-- Audit chain ---------------------------------------------------------------------------------
--
-- hash = SHA-256 over the previous hash and every column, each as its length in bytes, a colon and
-- its text; null is a minus sign. Lengths keep two rows from ever sharing one serialisation.
-- ``dask-platform audit verify`` computes the same in Python, from these words alone.
CREATE FUNCTION dask_field(p text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN p IS NULL THEN '-'::bytea
    ELSE convert_to(octet_length(convert_to(p, 'UTF8'))::text || ':', 'UTF8') || convert_to(p, 'UTF8') END
$$;

CREATE FUNCTION dask_audit_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  h audit_head;
BEGIN
  -- The row lock is held until commit: the next writer waits, then continues from what was committed.
  -- A rollback gives the number back. So: no gap, no fork.
  SELECT * INTO h FROM audit_head WHERE id = 1 FOR UPDATE;
  NEW.seq := h.seq + 1;
  NEW.at := clock_timestamp();
  NEW.previous := h.hash;
  NEW.hash := sha256(h.hash
    || dask_field(NEW.seq::text)
    || dask_field((extract(epoch FROM NEW.at) * 1000000)::bigint::text)
    || dask_field(NEW.kind) || dask_field(NEW.actor_id::text) || dask_field(NEW.actor_name)
    || dask_field(NEW.actor_role) || dask_field(NEW.unit_id::text) || dask_field(host(NEW.address))
    || dask_field(NEW.object_type) || dask_field(NEW.object_id) || dask_field(NEW.subject_id::text)
    || dask_field(NEW.request_id) || dask_field(NEW.details::text));
  UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash WHERE id = 1;
  RETURN NEW;
END
$$;
CREATE TRIGGER audit_link BEFORE INSERT ON audit_event
  FOR EACH ROW EXECUTE FUNCTION dask_audit_link();

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, sha256('dask audit chain'::bytea));

-- Invariants that no caller may break ----------------------------------------------------------

CREATE FUNCTION dask_placement_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM 1 FROM person WHERE id = NEW.person_id AND kind = 'student' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'only a student is placed' USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM placement l WHERE l.person_id = NEW.person_id AND l.id <> NEW.id
             AND tstzrange(l.starts_at, l.ends_at) && tstzrange(NEW.starts_at, NEW.ends_at)) THEN
    RAISE EXCEPTION 'placements of one person overlap' USING ERRCODE = 'exclusion_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER placement_check BEFORE INSERT OR UPDATE ON placement
  FOR EACH ROW EXECUTE FUNCTION dask_placement_check();

CREATE FUNCTION dask_staff_role_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM 1 FROM person WHERE id = NEW.person_id AND kind = 'staff';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'a student holds no staff role' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER staff_role_check BEFORE INSERT OR UPDATE ON staff_role
  FOR EACH ROW EXECUTE FUNCTION dask_staff_role_check();

-- What was handed in stays as it was handed in.
CREATE FUNCTION dask_attempt_frozen() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'draft' AND (NEW.text, NEW.text_sha256, NEW.receipt, NEW.handed_in_at, NEW.late,
      NEW.person_id, NEW.class_id, NEW.item_id, NEW.number, NEW.file_count)
     IS DISTINCT FROM (OLD.text, OLD.text_sha256, OLD.receipt, OLD.handed_in_at, OLD.late,
      OLD.person_id, OLD.class_id, OLD.item_id, OLD.number, OLD.file_count) THEN
    RAISE EXCEPTION 'a handed-in attempt does not change' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.state <> 'draft' AND NEW.state = 'draft' THEN
    RAISE EXCEPTION 'a handed-in attempt is not a draft again' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER attempt_frozen BEFORE UPDATE ON attempt
  FOR EACH ROW EXECUTE FUNCTION dask_attempt_frozen();
