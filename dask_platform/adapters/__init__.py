"""The outside world behind the ports of ``kernel/ports.py``.

- ``storage``: files — a folder, S3, or memory for tests.
- ``scanner``: the virus scanner clamd.
- ``directory``: the county's LDAP.

Nothing here knows Flask or the database. ``entry`` decides which adapter stands behind each port.
"""
