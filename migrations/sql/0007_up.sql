-- Answers of sites that are kept for others of the same scope. No row says for whom it was fetched.
-- The web role reads and writes by these functions alone: by a key that only the platform can make
-- from an address and a scope, never by looking through them.
ALTER TABLE kept_answer ENABLE ROW LEVEL SECURITY;
ALTER TABLE kept_answer FORCE ROW LEVEL SECURITY;
REVOKE ALL ON kept_answer FROM PUBLIC;
CREATE POLICY owner_all ON kept_answer TO dask_owner USING (true) WITH CHECK (true);
GRANT SELECT ON kept_answer TO dask_web;
CREATE POLICY nobody ON kept_answer TO dask_web USING (false) WITH CHECK (false);
-- Sweeping asks how old and how large, and for the file's name.
GRANT SELECT (key, file_key, size, stored_at), DELETE ON kept_answer TO dask_worker;
CREATE POLICY worker_sweeps ON kept_answer TO dask_worker USING (true);

CREATE FUNCTION dask_kept_answer(p_key bytea)
RETURNS TABLE (file_key text, headers jsonb, size bigint, sha256 text, etag text,
               fresh_until timestamptz, head_ms integer, took_ms integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT k.file_key, k.headers, k.size, k.sha256, k.etag, k.fresh_until, k.head_ms, k.took_ms
  FROM kept_answer k WHERE k.key = p_key AND dask_actor() IS NOT NULL
$$;

-- Says false, and keeps nothing, where all that is kept would be more than p_most bytes.
CREATE FUNCTION dask_keep_answer(p_key bytea, p_file text, p_headers jsonb, p_size bigint, p_sha256 text,
  p_etag text, p_now timestamptz, p_until timestamptz, p_head integer, p_took integer, p_most bigint)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF dask_actor() IS NULL OR p_size + (SELECT coalesce(sum(k.size), 0) FROM kept_answer k) > p_most THEN
    RETURN false;
  END IF;
  INSERT INTO kept_answer AS k (key, file_key, headers, size, sha256, etag, stored_at, fresh_until, head_ms, took_ms)
  VALUES (p_key, p_file, p_headers, p_size, p_sha256, p_etag, p_now, p_until, p_head, p_took)
  ON CONFLICT (key) DO UPDATE SET file_key = excluded.file_key, headers = excluded.headers,
    size = excluded.size, sha256 = excluded.sha256, etag = excluded.etag, stored_at = excluded.stored_at,
    fresh_until = excluded.fresh_until, head_ms = excluded.head_ms, took_ms = excluded.took_ms
  WHERE k.stored_at <= excluded.stored_at;
  RETURN FOUND;
END
$$;

-- The site has said that what is kept is still what it has.
CREATE FUNCTION dask_freshen_answer(p_key bytea, p_file text, p_headers jsonb, p_now timestamptz, p_until timestamptz)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE kept_answer k SET headers = p_headers, stored_at = p_now, fresh_until = p_until
  WHERE k.key = p_key AND k.file_key = p_file AND k.stored_at <= p_now AND dask_actor() IS NOT NULL
$$;

CREATE FUNCTION dask_drop_answer(p_key bytea, p_file text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DELETE FROM kept_answer k WHERE k.key = p_key AND k.file_key = p_file AND dask_actor() IS NOT NULL
$$;

GRANT EXECUTE ON FUNCTION dask_kept_answer(bytea),
  dask_keep_answer(bytea, text, jsonb, bigint, text, text, timestamptz, timestamptz, integer, integer, bigint),
  dask_freshen_answer(bytea, text, jsonb, timestamptz, timestamptz), dask_drop_answer(bytea, text) TO dask_web;
