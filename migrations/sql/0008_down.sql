DROP POLICY self_inserts ON site_visit;
CREATE POLICY self_inserts ON site_visit FOR INSERT TO dask_web
  WITH CHECK (person_id = (SELECT dask_actor()));
DROP FUNCTION dask_visit_units();
DROP FUNCTION dask_typed_since(timestamptz);
DROP FUNCTION dask_visits_asked(timestamptz, text[], text[]);
DROP VIEW asked_visit;
