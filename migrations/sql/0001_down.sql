-- Back to an empty database: every object of the platform and of its job engine, and nothing else.
DO $$
DECLARE o record;
BEGIN
  FOR o IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'alembic_version' LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', o.relname);
  END LOOP;
  FOR o IN SELECT p.oid::regprocedure AS name FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = 'public' AND (p.proname LIKE 'dask%' OR p.proname LIKE 'procrastinate%') LOOP
    EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', o.name);
  END LOOP;
  FOR o IN SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
           WHERE n.nspname = 'public' AND t.typname LIKE 'procrastinate%' AND t.typtype IN ('e', 'c') LOOP
    EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', o.typname);
  END LOOP;
  REVOKE USAGE ON SCHEMA public FROM dask_web, dask_worker;
  ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
END $$;
