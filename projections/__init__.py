"""The read models: tables derived from the log, one module each.

A module tells its table, how events change it (``apply``), and the queries on it. :mod:`runner` applies
events inside the transaction that appends them, so whoever reads after a write sees it.

A projection reads nothing but its own tables and the events it is given. So its rows depend on the log
alone and not on how the log was cut into batches, and it can be rebuilt at any time
(:mod:`projections.rebuild`). What depends on a schedule or a clock is stated in the events.

=========================  ====================================================================
projection                 answers
=========================  ====================================================================
:mod:`projects`            the projects of an account
:mod:`jobs`                the jobs of an account or project, as they are set up
:mod:`job_status`          how each job fares: last status and activity
:mod:`executions`          the history of a job, newest first
:mod:`due_ticks`           which jobs are due
:mod:`checks_in_flight`    which checks have begun and not ended
:mod:`heartbeats`          whose pings are awaited, and until when
:mod:`api_keys`            who may do what
=========================  ====================================================================
"""
