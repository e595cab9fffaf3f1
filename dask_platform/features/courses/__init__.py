"""Courses, classes, and who has read what.

A *course* is modules of pages and assignments. It comes from files (``content/``: start reading at
``content.py``, then ``load.py``) or is written in the browser (``authoring.py``). A *class* is a
course run at a unit (``classes.py``): its teachers, its students, its deadlines.

``queries.py`` is what the other features read; ``policy.py`` says who may do what; ``views.py`` has
the pages for reading, ``views_classes.py`` and ``views_authoring.py`` those for teachers.
"""
