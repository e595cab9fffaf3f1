"""``python -m tools.bench``: how fast the school is, beside a bare Flask application.

Parts can be measured alone: ``python -m tools.bench broker``.

Start with ``__main__``: what is measured, and the table. ``site`` starts PostgreSQL, two gunicorns
and nginx, all on loopback, and ends them; ``people`` fills the school; ``load`` makes the requests.

``broker`` does the same for the way out to approved sites: ``broker_site`` starts sites, school
and broker, ``broker_rivals`` what they are measured beside; ``broker_load`` and ``broker_students``
ask.
"""
