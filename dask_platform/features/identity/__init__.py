"""People, units, rooms and log-in.

``service/login.py`` is the log-in from name and password to a session, with the throttle, the rooms
and the directory around it; ``service/second_factor.py`` what staff confirm with afterwards.
``service/people.py``, ``placements.py`` and ``roles.py`` are the operator's verbs,
``service/directory.py`` keeps people in step with the county's directory, and
``service/sessions.py`` ends sessions. ``policy.py`` says who may do which of it. Other features use
``queries.py`` for names and units.
"""
