"""Courses, classes, and who has read what.

A *course* is modules of pages and assignments. It comes from files (``content/``: start reading at
``content.py``, then ``load.py``) or is written in the browser (``authoring.py`` for the course,
``modules.py`` for its modules, ``item_authoring.py`` for pages, assignments and pictures,
``aims.py`` for competence aims). A *class* is a course run at a unit (``classes.py``): its
teachers, its students, its deadlines; ``ending.py`` says what its end means.

``queries.py`` is what the other features read, in the shapes of ``shapes.py``; ``rendering.py``
says how a page is stored and how it is shown; ``policy.py`` says who may do what; the pages are in
``views/``.
"""
