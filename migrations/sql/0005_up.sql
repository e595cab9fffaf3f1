-- Copies of sites: added and seen by security, shown to nobody until a rule in force names one.

ALTER TABLE site_copy ENABLE ROW LEVEL SECURITY;
ALTER TABLE site_copy FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON site_copy TO dask_owner USING (true) WITH CHECK (true);
REVOKE ALL ON site_copy FROM PUBLIC;

-- Whether a rule in force, or one that is proposed, names the copy.
CREATE FUNCTION dask_copy_named(p_sha256 text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (
      SELECT FROM (SELECT DISTINCT ON (v.rule_id) v.body FROM whitelist_version v
                   ORDER BY v.rule_id, v.number DESC) n
      WHERE n.body #>> '{copy,sha256}' = p_sha256)
    OR EXISTS (SELECT FROM whitelist_proposal p
               WHERE p.state = 'waiting' AND p.body #>> '{copy,sha256}' = p_sha256)
$$;
REVOKE ALL ON FUNCTION dask_copy_named(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_copy_named(text) TO dask_web;

-- Whoever acts is who added it; what the operator's command line adds has no actor.
CREATE FUNCTION dask_copy_added() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF dask_actor() IS NOT NULL THEN
    NEW.added_by := dask_actor();
    NEW.added_name := dask_signature(dask_actor());
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER copy_added BEFORE INSERT ON site_copy FOR EACH ROW EXECUTE FUNCTION dask_copy_added();

GRANT SELECT, INSERT, DELETE ON site_copy TO dask_web;
CREATE POLICY security_reads ON site_copy FOR SELECT TO dask_web
  USING (EXISTS (SELECT dask_units('security')));
CREATE POLICY security_adds ON site_copy FOR INSERT TO dask_web
  WITH CHECK (added_by = (SELECT dask_actor()) AND EXISTS (SELECT dask_units('security')));
CREATE POLICY security_removes ON site_copy FOR DELETE TO dask_web
  USING (EXISTS (SELECT dask_units('security')) AND NOT dask_copy_named(sha256));
-- Bytes that no row speaks of are swept.
GRANT SELECT (sha256) ON site_copy TO dask_worker;
CREATE POLICY worker_reads ON site_copy FOR SELECT TO dask_worker USING (true);
