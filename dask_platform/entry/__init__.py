"""Wiring only: which adapter stands behind each port, which features make which application.

``wiring.py`` builds the platform from settings, ``school.py`` the application for students and
staff, ``worker.py`` the job worker, ``cli.py`` the command line, ``demo.py`` the demo.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: ``content/``, ``infra/`` and ``migrations/`` lie here."""
