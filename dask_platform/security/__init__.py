"""Rules about untrusted things. Pure Python: nothing here knows Flask or the database.

Start in ``html.py``: every page of a course goes through it. ``markdown.py`` turns what a teacher
writes into such a page and names what is wrong, line by line. ``filetypes.py`` says what an
uploaded file *is*, ``names.py`` what we keep of what people call things, ``svg.py`` which drawings
a course may hold, ``passwords.py`` how passwords are kept.
"""
