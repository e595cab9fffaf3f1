"""Tests of courses and classes. The corpus of bad courses stands in ``test_content_mistakes``."""
