"""Whitelists: which sites are open, to whom, when, and who said so.

Start with ``rules`` (what a rule says) and ``engine`` (how a request is decided). ``files`` reads a
folder of rules, ``checks`` refuses what must not stand in one, ``hosts`` knows which names are too
wide or too alike, ``cli`` is ``dask-platform whitelist``.
"""
