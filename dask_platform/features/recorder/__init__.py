"""The recorder: what a candidate site needs, seen in a throw-away session, and the smallest rule for it."""
