DROP FUNCTION dask_broker_pass(bytea, text, timestamptz, uuid);
