"""The front page: what waits for the person who has just logged in.

It has no data of its own. ``views.home`` asks the other features what they have for this actor.
"""
