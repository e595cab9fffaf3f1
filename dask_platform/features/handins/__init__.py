"""Hand-ins: a student writes, adds files and hands in; it is scanned, marked and returned.

Start with ``models.py`` (an attempt goes draft → handed in → returned) and ``policy.py``. Then
follow the way of a piece of work:

- ``service.py``: what a student does (save, hand in, try again), with ``filing.py`` for files and
  ``drafts.py`` for the draft that both lock;
- ``scanning.py``: what the worker does with each file, run by ``jobs.py``;
- ``marking.py``: what a teacher does, and the reads that the log must know of;
- ``reconcile.py``: proving that rows and stored files belong together, also as ``cli.py``.

``queries.py`` holds the reads. ``views.py`` (student) and ``staff_views.py`` (teacher, security)
share the blueprint in ``blueprint.py``.
"""
