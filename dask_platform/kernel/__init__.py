"""What everything else may lean on: settings, errors, the actor, ports, clock and ids.

Nothing here knows Flask or SQLAlchemy.
"""
