"""The audit log: who did what, to what and whom, from where, when. Append-only, hash-chained.

Start with ``service.record``, which every other feature calls. The chain itself is made by a
trigger (``migrations/sql``); ``chain.py`` checks it without trusting the database.
"""
