"""``python -m tools.bench``: how fast the school is, beside a bare Flask application.

Start with ``__main__``: what is measured, and the table. ``site`` starts PostgreSQL, two gunicorns
and nginx, all on loopback, and ends them; ``people`` fills the school; ``load`` makes the requests.
"""
