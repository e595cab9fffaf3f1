-- Row-level security: the second wall. Default deny: a table without a policy shows nothing.
--
-- dask_owner  owns the tables; migrations and the operator's command line. Sees all rows.
-- dask_web    the web processes. Only what a policy below lets the actor of the transaction see.
-- dask_worker the job worker. Files to scan, their attempts, and the log.

DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind = 'r'
             AND c.relname NOT LIKE 'procrastinate%' AND c.relname <> 'alembic_version' LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t.relname);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.relname);
    EXECUTE format('CREATE POLICY owner_all ON %I TO dask_owner USING (true) WITH CHECK (true)', t.relname);
  END LOOP;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO dask_web, dask_worker;
GRANT EXECUTE ON FUNCTION dask_actor(), dask_units(text[]), dask_staff_units(), dask_unit_of(uuid),
  dask_students_here(), dask_colleagues(), dask_taught_classes(), dask_taught_unit(uuid), dask_own_classes(), dask_ever_own_classes(),
  dask_taught_students(), dask_own_teachers(), dask_own_schools(), dask_editable_courses(),
  dask_readable_courses(), dask_stopped_files(), dask_resume(bytea, timestamptz), dask_login_lookup(text),
  dask_defer(text, jsonb, text, text) TO dask_web;
GRANT EXECUTE ON FUNCTION dask_actor(), dask_defer(text, jsonb, text, text) TO dask_worker;
GRANT SELECT ON alembic_version TO dask_web, dask_worker;

-- The house: known to all processes, changed by operators of the unit -------------------------
GRANT SELECT ON school, unit, room, room_network TO dask_web, dask_worker;
GRANT INSERT, UPDATE, DELETE ON room, room_network TO dask_web;
CREATE POLICY everyone_reads ON school FOR SELECT TO dask_web, dask_worker USING (true);
CREATE POLICY everyone_reads ON unit FOR SELECT TO dask_web, dask_worker USING (true);
CREATE POLICY everyone_reads ON room FOR SELECT TO dask_web, dask_worker USING (true);
CREATE POLICY everyone_reads ON room_network FOR SELECT TO dask_web, dask_worker USING (true);
CREATE POLICY operator_writes ON room TO dask_web
  USING (unit_id IN (SELECT dask_units('operator'))) WITH CHECK (unit_id IN (SELECT dask_units('operator')));
CREATE POLICY operator_writes ON room_network TO dask_web
  USING (room_id IN (SELECT r.id FROM room r WHERE r.unit_id IN (SELECT dask_units('operator'))))
  WITH CHECK (room_id IN (SELECT r.id FROM room r WHERE r.unit_id IN (SELECT dask_units('operator'))));

-- People ---------------------------------------------------------------------------------------
GRANT SELECT, INSERT ON person TO dask_web;
GRANT UPDATE (display_name, locale, active, deactivated_at, directory_key) ON person TO dask_web;
CREATE POLICY self_reads ON person FOR SELECT TO dask_web USING (id = (SELECT dask_actor()));
CREATE POLICY staff_read_students_here ON person FOR SELECT TO dask_web
  USING (id IN (SELECT dask_students_here()));
CREATE POLICY staff_read_colleagues ON person FOR SELECT TO dask_web
  USING (id IN (SELECT dask_colleagues()));
CREATE POLICY student_reads_own_teachers ON person FOR SELECT TO dask_web
  USING (id IN (SELECT dask_own_teachers()));
CREATE POLICY self_updates ON person FOR UPDATE TO dask_web
  USING (id = (SELECT dask_actor())) WITH CHECK (id = (SELECT dask_actor()));
CREATE POLICY operator_updates ON person FOR UPDATE TO dask_web
  USING (EXISTS (SELECT dask_units('operator')) AND
         (id IN (SELECT l.person_id FROM placement l WHERE l.unit_id IN (SELECT dask_units('operator')))
          OR id IN (SELECT r.person_id FROM staff_role r WHERE r.unit_id IN (SELECT dask_units('operator')))));
CREATE POLICY operator_inserts ON person FOR INSERT TO dask_web
  WITH CHECK (EXISTS (SELECT dask_units('operator')));

GRANT SELECT, INSERT, UPDATE ON placement TO dask_web;
CREATE POLICY self_reads ON placement FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY staff_read_here ON placement FOR SELECT TO dask_web
  USING (unit_id IN (SELECT dask_staff_units()));
CREATE POLICY operator_inserts ON placement FOR INSERT TO dask_web
  WITH CHECK (unit_id IN (SELECT dask_units('operator')));
CREATE POLICY operator_updates ON placement FOR UPDATE TO dask_web
  USING (unit_id IN (SELECT dask_units('operator'))) WITH CHECK (unit_id IN (SELECT dask_units('operator')));

GRANT SELECT, INSERT, UPDATE ON staff_role TO dask_web;
CREATE POLICY self_reads ON staff_role FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY staff_read_here ON staff_role FOR SELECT TO dask_web
  USING (unit_id IN (SELECT dask_staff_units()));
-- Nobody gives themselves a role.
CREATE POLICY operator_inserts ON staff_role FOR INSERT TO dask_web
  WITH CHECK (unit_id IN (SELECT dask_units('operator')) AND person_id <> (SELECT dask_actor()));
CREATE POLICY operator_updates ON staff_role FOR UPDATE TO dask_web
  USING (unit_id IN (SELECT dask_units('operator')) AND person_id <> (SELECT dask_actor()))
  WITH CHECK (unit_id IN (SELECT dask_units('operator')) AND person_id <> (SELECT dask_actor()));

-- Credentials: the person's own; an operator of the person's unit may replace or remove, for a reset.
CREATE FUNCTION dask_operated_people() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT l.person_id FROM placement l
   WHERE l.unit_id IN (SELECT dask_units('operator'))
     AND l.starts_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())
  UNION
  SELECT r.person_id FROM staff_role r
   WHERE r.unit_id IN (SELECT dask_units('operator'))
     AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())
$$;
REVOKE ALL ON FUNCTION dask_operated_people() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_operated_people() TO dask_web;

GRANT SELECT, INSERT, UPDATE, DELETE ON local_credential, totp_secret, recovery_code TO dask_web;
CREATE POLICY self_all ON local_credential TO dask_web
  USING (person_id = (SELECT dask_actor())) WITH CHECK (person_id = (SELECT dask_actor()));
CREATE POLICY operator_resets ON local_credential TO dask_web
  USING (person_id IN (SELECT dask_operated_people())) WITH CHECK (person_id IN (SELECT dask_operated_people()));
CREATE POLICY self_all ON totp_secret TO dask_web
  USING (person_id = (SELECT dask_actor())) WITH CHECK (person_id = (SELECT dask_actor()));
CREATE POLICY operator_removes ON totp_secret FOR DELETE TO dask_web
  USING (person_id IN (SELECT dask_operated_people()));
CREATE POLICY operator_finds ON totp_secret FOR SELECT TO dask_web
  USING (person_id IN (SELECT dask_operated_people()));
CREATE POLICY self_all ON recovery_code TO dask_web
  USING (person_id = (SELECT dask_actor())) WITH CHECK (person_id = (SELECT dask_actor()));
CREATE POLICY operator_removes ON recovery_code FOR DELETE TO dask_web
  USING (person_id IN (SELECT dask_operated_people()));
CREATE POLICY operator_finds ON recovery_code FOR SELECT TO dask_web
  USING (person_id IN (SELECT dask_operated_people()));

-- Sessions: own; staff see and end those of the students placed at their units now; operators also those of staff.
GRANT SELECT, INSERT ON login_session TO dask_web;
GRANT UPDATE (token_hash, seen_at, idle_until, second_factor_at, ended_at, ended_reason) ON login_session TO dask_web;
CREATE POLICY self_all ON login_session TO dask_web
  USING (person_id = (SELECT dask_actor())) WITH CHECK (person_id = (SELECT dask_actor()));
CREATE POLICY staff_read_here ON login_session FOR SELECT TO dask_web
  USING (person_id IN (SELECT dask_students_here()));
CREATE POLICY staff_end_here ON login_session FOR UPDATE TO dask_web
  USING (person_id IN (SELECT dask_students_here())) WITH CHECK (ended_at IS NOT NULL);
CREATE POLICY operator_reads ON login_session FOR SELECT TO dask_web
  USING (person_id IN (SELECT dask_operated_people()));
CREATE POLICY operator_ends ON login_session FOR UPDATE TO dask_web
  USING (person_id IN (SELECT dask_operated_people())) WITH CHECK (ended_at IS NOT NULL);

-- Names nobody: keys are HMACs. Written before anybody is logged in.
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttle TO dask_web;
CREATE POLICY all_rows ON login_throttle TO dask_web USING (true) WITH CHECK (true);

-- Courses --------------------------------------------------------------------------------------
-- National courses and the school's own are open to staff; a student sees those of own classes.
GRANT SELECT, INSERT ON course, course_module, course_item, competence_aim, course_media TO dask_web;
GRANT UPDATE ON course, course_module, course_item, competence_aim TO dask_web;
-- What students have done hangs on items and pictures; a module without items and an aim may go.
GRANT DELETE ON course_module, competence_aim TO dask_web;
CREATE POLICY readers_read ON course FOR SELECT TO dask_web
  USING (id IN (SELECT dask_readable_courses()));
CREATE POLICY teacher_inserts ON course FOR INSERT TO dask_web
  WITH CHECK (school_id IN (SELECT dask_own_schools()));
CREATE POLICY teacher_updates ON course FOR UPDATE TO dask_web
  USING (school_id IN (SELECT dask_own_schools())) WITH CHECK (school_id IN (SELECT dask_own_schools()));
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['course_module', 'course_item', 'competence_aim', 'course_media'] LOOP
    EXECUTE format('CREATE POLICY with_course ON %I FOR SELECT TO dask_web
      USING (course_id IN (SELECT dask_readable_courses()))', t);
    EXECUTE format('CREATE POLICY teacher_inserts ON %I FOR INSERT TO dask_web
      WITH CHECK (course_id IN (SELECT dask_editable_courses()))', t);
    EXECUTE format('CREATE POLICY teacher_updates ON %I FOR UPDATE TO dask_web
      USING (course_id IN (SELECT dask_editable_courses()))
      WITH CHECK (course_id IN (SELECT dask_editable_courses()))', t);
  END LOOP;
END $$;
CREATE POLICY teacher_deletes ON course_module FOR DELETE TO dask_web
  USING (course_id IN (SELECT dask_editable_courses()));
CREATE POLICY teacher_deletes ON competence_aim FOR DELETE TO dask_web
  USING (course_id IN (SELECT dask_editable_courses()));
-- A student never sees what is not published, whatever the query.
CREATE POLICY drafts_hidden ON course_item AS RESTRICTIVE FOR SELECT TO dask_web
  USING (published OR EXISTS (SELECT dask_staff_units()));

-- Classes --------------------------------------------------------------------------------------
GRANT SELECT, INSERT, UPDATE ON course_class, class_deadline TO dask_web;
CREATE POLICY staff_read_here ON course_class FOR SELECT TO dask_web USING (unit_id IN (SELECT dask_staff_units()));
CREATE POLICY student_reads_own ON course_class FOR SELECT TO dask_web
  USING (id IN (SELECT dask_ever_own_classes()));
CREATE POLICY teacher_inserts ON course_class FOR INSERT TO dask_web
  WITH CHECK (unit_id IN (SELECT dask_units('teacher')));
CREATE POLICY teacher_updates ON course_class FOR UPDATE TO dask_web
  USING (id IN (SELECT dask_taught_classes())) WITH CHECK (unit_id IN (SELECT dask_units('teacher')));

CREATE POLICY with_class ON class_deadline FOR SELECT TO dask_web
  USING (class_id IN (SELECT c.id FROM course_class c));
CREATE POLICY teacher_inserts ON class_deadline FOR INSERT TO dask_web
  WITH CHECK (class_id IN (SELECT dask_taught_classes()));
CREATE POLICY teacher_updates ON class_deadline FOR UPDATE TO dask_web
  USING (class_id IN (SELECT dask_taught_classes())) WITH CHECK (class_id IN (SELECT dask_taught_classes()));

GRANT SELECT, INSERT, DELETE ON class_teacher TO dask_web;
CREATE POLICY staff_read_here ON class_teacher FOR SELECT TO dask_web
  USING (class_id IN (SELECT c.id FROM course_class c WHERE c.unit_id IN (SELECT dask_staff_units())));
CREATE POLICY student_reads_own ON class_teacher FOR SELECT TO dask_web
  USING (class_id IN (SELECT dask_own_classes()));
-- The first teacher of a new class is its maker; later ones are added by a teacher of the class.
CREATE FUNCTION dask_class_has_teacher(p_class uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM class_teacher WHERE class_id = p_class)
$$;
REVOKE ALL ON FUNCTION dask_class_has_teacher(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_class_has_teacher(uuid) TO dask_web;
CREATE POLICY maker_inserts ON class_teacher FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND NOT dask_class_has_teacher(class_id) AND class_id IN (
    SELECT c.id FROM course_class c WHERE c.unit_id IN (SELECT dask_units('teacher'))));
CREATE POLICY teacher_inserts ON class_teacher FOR INSERT TO dask_web
  WITH CHECK (class_id IN (SELECT dask_taught_classes()));
CREATE POLICY teacher_deletes ON class_teacher FOR DELETE TO dask_web
  USING (class_id IN (SELECT dask_taught_classes()));

GRANT SELECT, INSERT ON enrolment TO dask_web;
GRANT UPDATE (ended_at) ON enrolment TO dask_web;
CREATE POLICY self_reads ON enrolment FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY teacher_reads ON enrolment FOR SELECT TO dask_web
  USING ((class_id, person_id) IN (SELECT s.class_id, s.person_id FROM dask_taught_students() s)
         OR (class_id IN (SELECT dask_taught_classes()) AND person_id IN (SELECT dask_students_here())));
CREATE POLICY teacher_inserts ON enrolment FOR INSERT TO dask_web
  WITH CHECK (class_id IN (SELECT dask_taught_classes()) AND dask_unit_of(person_id) = dask_taught_unit(class_id));
CREATE POLICY teacher_updates ON enrolment FOR UPDATE TO dask_web
  USING (class_id IN (SELECT dask_taught_classes())) WITH CHECK (class_id IN (SELECT dask_taught_classes()));

GRANT SELECT, INSERT ON reading TO dask_web;
CREATE POLICY self_reads ON reading FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY teacher_reads ON reading FOR SELECT TO dask_web
  USING ((class_id, person_id) IN (SELECT s.class_id, s.person_id FROM dask_taught_students() s));
CREATE POLICY self_inserts ON reading FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND class_id IN (SELECT dask_own_classes()));

-- Hand-ins -------------------------------------------------------------------------------------
-- The student's own; and the teachers of that class, while the student is placed there, once handed in.
GRANT SELECT, INSERT, UPDATE ON attempt TO dask_web;
CREATE POLICY self_reads ON attempt FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY self_inserts ON attempt FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND class_id IN (SELECT dask_own_classes()) AND state = 'draft');
CREATE POLICY self_updates ON attempt FOR UPDATE TO dask_web
  USING (person_id = (SELECT dask_actor()) AND state = 'draft' AND class_id IN (SELECT dask_own_classes()))
  WITH CHECK (person_id = (SELECT dask_actor()) AND state IN ('draft', 'handed_in'));
CREATE POLICY teacher_reads ON attempt FOR SELECT TO dask_web
  USING (state <> 'draft' AND (class_id, person_id) IN (SELECT s.class_id, s.person_id FROM dask_taught_students() s));
CREATE POLICY teacher_returns ON attempt FOR UPDATE TO dask_web
  USING (state <> 'draft' AND (class_id, person_id) IN (SELECT s.class_id, s.person_id FROM dask_taught_students() s))
  WITH CHECK (state <> 'draft');

GRANT SELECT, INSERT, DELETE ON handin_file TO dask_web;
CREATE POLICY self_reads ON handin_file FOR SELECT TO dask_web USING (person_id = (SELECT dask_actor()));
CREATE POLICY teacher_reads_clean ON handin_file FOR SELECT TO dask_web
  USING (scan_state = 'clean' AND attempt_id IN (SELECT a.id FROM attempt a WHERE a.state <> 'draft'));
-- Security sees what was stopped at own units, not what is clean.
CREATE POLICY security_reads_stopped ON handin_file FOR SELECT TO dask_web
  USING (scan_state IN ('infected', 'refused') AND dask_unit_of(person_id) IN (SELECT dask_units('security')));
CREATE POLICY self_inserts ON handin_file FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND scan_state = 'pending' AND attempt_id IN (
    SELECT a.id FROM attempt a WHERE a.person_id = (SELECT dask_actor()) AND a.state = 'draft'));
CREATE POLICY self_deletes ON handin_file FOR DELETE TO dask_web
  USING (person_id = (SELECT dask_actor()) AND attempt_id IN (
    SELECT a.id FROM attempt a WHERE a.person_id = (SELECT dask_actor()) AND a.state = 'draft'));

GRANT SELECT, INSERT, UPDATE ON marking TO dask_web;
CREATE POLICY student_reads_returned ON marking FOR SELECT TO dask_web
  USING (student_id = (SELECT dask_actor()) AND returned_at IS NOT NULL);
CREATE POLICY teacher_reads ON marking FOR SELECT TO dask_web
  USING (student_id <> (SELECT dask_actor()) AND attempt_id IN (SELECT a.id FROM attempt a WHERE a.state <> 'draft'));
CREATE POLICY teacher_inserts ON marking FOR INSERT TO dask_web
  WITH CHECK (marked_by = (SELECT dask_actor()) AND student_id <> marked_by AND EXISTS (
    SELECT FROM attempt a WHERE a.id = attempt_id AND a.person_id = student_id AND a.state <> 'draft'));
CREATE POLICY teacher_updates ON marking FOR UPDATE TO dask_web
  USING (student_id <> (SELECT dask_actor()) AND attempt_id IN (SELECT a.id FROM attempt a WHERE a.state <> 'draft'))
  WITH CHECK (marked_by = (SELECT dask_actor()) AND student_id <> marked_by);

-- The worker: scans files and writes what was found, nothing else.
-- Not the text of an attempt: no job needs it.
GRANT SELECT (id, class_id, item_id, person_id, state, scan_state, file_count, version) ON attempt TO dask_worker;
GRANT SELECT ON handin_file TO dask_worker;
GRANT UPDATE (scan_state, version) ON attempt TO dask_worker;
GRANT UPDATE (scan_state, scan_finding, scanned_at) ON handin_file TO dask_worker;
CREATE POLICY worker_reads ON attempt FOR SELECT TO dask_worker USING (true);
CREATE POLICY worker_updates ON attempt FOR UPDATE TO dask_worker USING (true) WITH CHECK (true);
CREATE POLICY worker_reads ON handin_file FOR SELECT TO dask_worker USING (true);
CREATE POLICY worker_updates ON handin_file FOR UPDATE TO dask_worker USING (true) WITH CHECK (true);
GRANT SELECT ON course_media, placement, login_session, login_throttle TO dask_worker;
GRANT DELETE ON login_session, login_throttle TO dask_worker;
CREATE POLICY worker_reads ON course_media FOR SELECT TO dask_worker USING (true);
CREATE POLICY worker_reads ON placement FOR SELECT TO dask_worker USING (true);
CREATE POLICY worker_reads ON login_session FOR SELECT TO dask_worker USING (true);
CREATE POLICY worker_sweeps ON login_session FOR DELETE TO dask_worker USING (ended_at IS NOT NULL OR expires_at < now());
CREATE POLICY worker_sweeps ON login_throttle TO dask_worker USING (true);

-- Audit ----------------------------------------------------------------------------------------
-- Anybody's act is recorded, also before log-in; only security reads, at own units; nobody changes.
-- The columns that make the chain are the trigger's: the web role may not even name them.
GRANT INSERT (kind, actor_id, actor_name, actor_role, unit_id, address, object_type, object_id,
  subject_id, request_id, details) ON audit_event TO dask_web, dask_worker;
GRANT SELECT ON audit_event TO dask_web;
CREATE POLICY anybody_adds ON audit_event FOR INSERT TO dask_web, dask_worker WITH CHECK (true);
CREATE POLICY security_reads ON audit_event FOR SELECT TO dask_web
  USING (unit_id IN (SELECT dask_units('security')) OR (unit_id IS NULL AND EXISTS (SELECT dask_units('security'))));
GRANT SELECT ON audit_head TO dask_web, dask_worker;
CREATE POLICY everyone_reads ON audit_head FOR SELECT TO dask_web, dask_worker USING (true);
GRANT SELECT, INSERT ON audit_review TO dask_web;
CREATE POLICY security_reads ON audit_review FOR SELECT TO dask_web USING (unit_id IN (SELECT dask_units('security')));
CREATE POLICY security_signs ON audit_review FOR INSERT TO dask_web
  WITH CHECK (unit_id IN (SELECT dask_units('security')) AND reviewed_by = (SELECT dask_actor()));

-- Jobs -----------------------------------------------------------------------------------------
GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events,
  procrastinate_periodic_defers, procrastinate_workers TO dask_worker;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO dask_worker;
DO $$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = 'public' AND p.proname LIKE 'procrastinate%' LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO dask_worker', f.name);
  END LOOP;
END $$;

-- What later migrations create is closed until they open it.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
