"""The schema's history: one script a revision, each to be read by the operator who runs it.

A revision's name begins with its number. Where it matters, the name goes on with ``pre`` or
``post``: ``pre`` is safe to run while the version before is still serving, ``post`` only once none
of it is left. One without either changes nothing that an older version uses.

On PostgreSQL all the scripts that are to be run are one transaction, and one process runs them at a
time. A table that a script has to change is waited for, and whoever comes after waits for the
script: so it gives up after five seconds (``lock_timeout``), undoes everything, and is to be run again
when no long transaction has the table, such as a backup's.
"""
