"""The verbs: ``recordings`` starts, ends and throws away, ``copying`` makes a copy of one."""
