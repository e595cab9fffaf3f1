"""Wiring only: which adapter stands behind each port, which features make which application.

``wiring.py`` builds the platform from settings, ``school.py`` the application for students and
staff, ``worker.py`` the job worker, ``cli.py`` the command line, ``demo.py`` the demo.
"""
