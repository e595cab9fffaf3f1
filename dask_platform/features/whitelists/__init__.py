"""Whitelists: which sites are open, to whom, when, and who said so.

Start with ``rules`` (what a rule says) and ``engine`` (how a request is decided). ``files`` reads a
folder of rules, ``checks`` refuses what must not stand in one, ``hosts`` knows which names are too
wide or too alike, ``diff`` tells what a change opens and closes, ``exports`` writes the rules for
other programs, ``cli`` is ``dask-platform whitelist``.

In the database: ``models`` (versions, proposals, stops, wishes), ``service`` (two people open, one
stops), ``queries`` (what decides a request; ``listings`` for the pages), ``checking`` (a proposal
against the set it would become), ``views``.

``service.copies`` takes copies of sites in for frozen rules, ``copies`` opens them on this machine.
"""
