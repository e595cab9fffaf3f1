"""The verbs that write: ``proposals`` (two people open), ``stops`` (one closes, two reopen),
``requests`` (teachers and students ask), ``load`` (rules from files, as the tables' owner)."""
