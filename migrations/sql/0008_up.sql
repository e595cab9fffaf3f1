-- A visit stands at a unit where its person is, or was within a day: a film goes on for half an hour,
-- and whoever is moved meanwhile has it written down where they asked for it.
CREATE FUNCTION dask_visit_units() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT l.unit_id FROM placement l
  WHERE l.person_id = dask_actor() AND l.starts_at <= now()
    AND (l.ends_at IS NULL OR l.ends_at > now() - interval '1 day')
  UNION
  SELECT r.unit_id FROM staff_role r
  WHERE r.person_id = dask_actor() AND r.starts_at <= now()
    AND (r.ends_at IS NULL OR r.ends_at > now() - interval '1 day')
$$;

-- How often the actor has sent free text out since then: the one limit that holds over all processes.
CREATE FUNCTION dask_typed_since(p_since timestamptz) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*)::integer FROM site_visit v
  WHERE v.person_id = dask_actor() AND v.at > p_since AND v.typed AND v.allowed
$$;

GRANT EXECUTE ON FUNCTION dask_visit_units(), dask_typed_since(timestamptz) TO dask_web;

DROP POLICY self_inserts ON site_visit;
CREATE POLICY self_inserts ON site_visit FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()) AND unit_id IN (SELECT dask_visit_units()));

-- What was asked for, without who asked: what a change of the rules would have changed. The courses are
-- those that its person takes now. Read by the owner, and by security through the function below.
CREATE VIEW asked_visit AS
  SELECT v.at, v.unit_id, u.slug::text AS unit, v.url::text AS url, v.method::text AS method,
    split_part(v.url, '/', 3) AS host, v.allowed, v.rule_id::text AS rule_id,
    coalesce(c.courses, '{}') AS courses
  FROM site_visit v JOIN unit u ON u.id = v.unit_id
  LEFT JOIN (
    SELECT e.person_id, array_agg(DISTINCT o.slug::text) AS courses FROM enrolment e
    JOIN course_class k ON k.id = e.class_id JOIN course o ON o.id = k.course_id
    WHERE e.ended_at IS NULL AND k.ended_at IS NULL GROUP BY e.person_id) c ON c.person_id = v.person_id;

-- The visits to these hosts (and to those below p_domains) at the units where the actor is security, the
-- same ones within an hour together; "at" is the last of them.
CREATE FUNCTION dask_visits_asked(p_since timestamptz, p_hosts text[], p_domains text[])
RETURNS TABLE (at timestamptz, unit text, url text, method text, allowed boolean, rule_id text,
               courses text[], times bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT max(v.at), v.unit, v.url, v.method, v.allowed, v.rule_id, v.courses, count(*)
  FROM asked_visit v
  WHERE v.at > p_since
    AND v.unit_id IN (SELECT a.unit_id FROM actor_role a WHERE a.role = 'security')
    AND (v.host = ANY (p_hosts) OR EXISTS (
      SELECT FROM unnest(p_domains) d WHERE right(v.host, length(d) + 1) = '.' || d))
  GROUP BY v.unit, v.url, v.method, v.allowed, v.rule_id, v.courses, date_trunc('hour', v.at)
  ORDER BY count(*) DESC, v.url LIMIT 20000
$$;
GRANT EXECUTE ON FUNCTION dask_visits_asked(timestamptz, text[], text[]) TO dask_web;
