-- All that one request through the broker is decided by, in one question: who is behind a token, where
-- they stand, what staff have opened for their room, and what the site's host wants to remember of
-- them. The person is the actor of the transaction from here on. NULL where nobody is behind it.
-- ``p_room``: the room that the request comes from, by its address.
CREATE FUNCTION dask_broker_pass(p_token bytea, p_host text, p_now timestamptz, p_room uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_actor jsonb := dask_broker_resume(p_token, p_host, p_now);
BEGIN
  IF v_actor IS NULL THEN RETURN NULL; END IF;
  RETURN jsonb_build_object(
    'actor', v_actor,
    'stands', (SELECT to_jsonb(n) FROM dask_whitelist_now(p_room) n),
    'opened', (SELECT coalesce(jsonb_agg(o), '[]') FROM dask_supervised_now(p_room, p_now) o),
    'crumbs', (SELECT coalesce(jsonb_agg(jsonb_build_array(c.name, c.value, c.path, c.expires_at)
                 ORDER BY length(c.path) DESC, c.name), '[]')
               FROM site_cookie c WHERE c.person_id = dask_actor() AND c.host = p_host));
END
$$;

REVOKE ALL ON FUNCTION dask_broker_pass(bytea, text, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dask_broker_pass(bytea, text, timestamptz, uuid) TO dask_web;
