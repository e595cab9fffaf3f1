"""The recorder: an officer looks at a site that is not open, and gets a rule to propose.

Start with ``service`` (a recording starts, ends, is thrown away) and ``proposing`` (what it saw
becomes the smallest rule; pure). ``deciding`` says what a recording may reach, ``tickets`` who is
behind one, ``noting`` writes down what it needed, ``jar`` and ``keeping`` hold its cookies and, for
a copy, its answers. ``seen`` has the words between them, ``shapes`` what a parameter looks like,
``reading`` what stands in a page and stays closed.

The pages themselves come through the broker (``broker/recording.py``), which asks here. A recording
opens nothing: what it leads to is a proposal, and that takes two as always.
"""
