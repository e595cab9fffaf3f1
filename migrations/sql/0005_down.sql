DROP TRIGGER copy_added ON site_copy;
DROP FUNCTION dask_copy_added();
DROP POLICY security_removes ON site_copy;
DROP FUNCTION dask_copy_named(text);
