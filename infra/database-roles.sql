-- The database and its three roles, on a real server. Run once, as a superuser:
--
--   psql -v owner="'…'" -v web="'…'" -v worker="'…'" -f database-roles.sql
--
-- with three different random passwords in single quotes (for a URL, letters and digits are simplest:
-- openssl rand -hex 24). Harmless when run again: it then sets the passwords anew.
--
-- dask_owner   owns the tables. Migrations, backup and the operator's command line; no page.
-- dask_web     the pages. Owns nothing, cannot bypass row security, can only add to the audit log.
-- dask_worker  jobs: scans files, sweeps.
--
-- Then let them in, in pg_hba.conf, from the platform's machine alone and with TLS:
--
--   hostssl dask dask_owner,dask_web,dask_worker 10.1.2.3/32 scram-sha-256

\set ON_ERROR_STOP on
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['dask_owner', 'dask_web', 'dask_worker']) AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

-- Said in full, also for roles that were there: none of them may ever be more than this.
ALTER ROLE dask_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :owner;
ALTER ROLE dask_web LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :web;
ALTER ROLE dask_worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :worker;

SELECT 'CREATE DATABASE dask OWNER dask_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8'''
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'dask')
\gexec

-- Everybody may enter a database by default. Only these three may enter this one.
REVOKE ALL ON DATABASE dask FROM PUBLIC;
GRANT CONNECT ON DATABASE dask TO dask_web, dask_worker;
