"""From a schedule to a check, and from a silence to a miss.

:mod:`tick` finds the jobs whose tick has come and records ``CheckDue`` (or ``CheckSkipped``).
:mod:`dispatch` follows the log and sends the ids of executions through the broker; :mod:`actors`
receives them and hands them to :mod:`check_runner`, which records ``CheckStarted``, makes the call
(:mod:`http_check`, within what :mod:`network_guard` allows) and records how it ended.
:mod:`heartbeats` closes the windows in which no ping came.

The database is the truth and the broker only a wake-up. So whatever was queued or begun and not ended
is found again by :mod:`recovery`, and every record stands against the version of a stream: two that
race have one winner. :mod:`erasure` takes away what was deleted. :mod:`loops` keeps all of it going.

Each part has a ``step`` that does what is to be done at a moment, and says when it wants to be asked
again; so a test moves the clock and steps.
"""
