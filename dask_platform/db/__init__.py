"""The database: engine, units of work, row-level security, and the base of every table.

The rules that PostgreSQL itself enforces (roles, policies, triggers) are SQL under
``migrations/sql``; ``docs/threat-model.md`` says what they are for.
"""
