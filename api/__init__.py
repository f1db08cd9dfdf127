"""The edges of CronPulse, and the outermost ring that puts it together.

:mod:`api.rest` serves the documented REST API and :mod:`api.ping` the calls of users' own jobs. Both
go through :mod:`api.commands` and :mod:`api.queries` and know nothing of each other. Around them:
:mod:`api.settings`, the only reader of the environment; :mod:`api.bootstrap`, the only place that
wires; :mod:`api.app`, the ASGI application; :mod:`api.cli`, the command line.
"""
