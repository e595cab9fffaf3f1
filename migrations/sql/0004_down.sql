DROP FUNCTION dask_broker_ticket(uuid, text, bytea, timestamptz),
  dask_broker_redeem(bytea, text, bytea, timestamptz), dask_broker_resume(bytea, text, timestamptz),
  dask_supervised_now(uuid, timestamptz);
