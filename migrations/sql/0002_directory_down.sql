DROP FUNCTION dask_directory_person(text, text, text, jsonb, inet, text);
DROP FUNCTION dask_log(text, uuid, uuid, jsonb, inet, text);
DROP FUNCTION dask_session_end(bytea, timestamptz);
