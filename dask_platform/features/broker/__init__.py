"""The broker: approved sites, fetched, cleaned and logged, on a domain of their own.

Two sides. On the school's: ``views`` (the way out, supervision, the review of what went out). On
the broker's own domain: ``application``, and behind it

- ``tickets``: from a session of the school to a session on one site.
- ``deciding``: everything that decides at this moment, asked again while a transfer is under way.
- ``serving``: one request from its decision to its line in the log. Start reading here.
- ``fetching`` (what may be shown of an answer), ``passing`` (a file on its way), ``jar`` (cookies
  of sites), ``rendering`` (a page in our frame), ``refusals`` (what was refused and why),
  ``visits`` (the log), ``addresses``, ``headers``.

``supervision`` opens a watched site for a room, ``review`` reads the log for security, ``jobs``
sweeps.

``frozen`` has pages from an approved copy in place of a site, ``searching`` searches in one.
"""
