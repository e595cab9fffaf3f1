-- The policies of what a recording saw name its table, which goes last.
DROP POLICY own_recording ON recording_seen;
DROP POLICY own_recording ON recording_answer;
DROP POLICY own_recording ON recording_cookie;
DROP TRIGGER recording_ends ON recording;
DROP FUNCTION dask_recording_ends();
DROP FUNCTION dask_recording_resume(bytea, text, timestamptz);
DROP FUNCTION dask_recording_redeem(bytea, text, bytea, timestamptz);
DROP FUNCTION dask_recording_ticket(uuid, uuid, text, bytea, timestamptz, timestamptz);
DROP FUNCTION dask_recording_live(uuid, timestamptz);
