"""The DASK platform: a closed school for prison education.

Start reading at ``entry/school.py`` (how the parts are wired), then one folder under
``features/``: each holds what one kind of person does, and its ``__init__`` says where to begin.
"""

__version__ = "0.1.0"
