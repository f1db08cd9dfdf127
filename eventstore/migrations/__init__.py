"""The schema's history: one script a revision, each to be read by the operator who runs it.

A revision's name begins with its number. Where it matters, the name goes on with ``pre`` or
``post``: ``pre`` is safe to run while the version before is still serving, ``post`` only once none
of it is left. One without either changes nothing that an older version uses.
"""
