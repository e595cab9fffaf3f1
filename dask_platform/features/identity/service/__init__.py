"""The verbs of log-in and of the people behind it, one module a matter."""
