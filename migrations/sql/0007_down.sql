DROP FUNCTION dask_kept_answer(bytea),
  dask_keep_answer(bytea, text, jsonb, bigint, text, text, timestamptz, timestamptz, integer, integer, bigint),
  dask_freshen_answer(bytea, text, jsonb, timestamptz, timestamptz), dask_drop_answer(bytea, text);
