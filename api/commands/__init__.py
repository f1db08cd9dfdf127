"""Everything that can be asked for, whichever edge it comes through.

A command loads the streams that it is about, lets :mod:`domain` decide, and appends what was decided.
It raises :mod:`domain.errors` and, for something that was deleted meanwhile,
:class:`eventstore.store.SubjectSealed`. Permissions are the edges' concern; that a thing belongs to
the caller's account is checked here.
"""
