"""What CronPulse is about, as pure functions: projects, jobs, API keys, executions, heartbeats.

Every kind of stream has one module, to be read from top to bottom: its events, its state, ``evolve``
(state and event to state), then one function for each command. A command takes the present state and
everything it needs as values, times and new ids included, and returns the events to record: none when
there is nothing to do. It refuses with a :mod:`domain.errors` class. Nothing here does I/O, looks at a
clock or draws a random number.

=====================  =======================================  ==================================
stream                 module                                   subject (whose erasure takes it)
=====================  =======================================  ==================================
``project-<id>``       :mod:`domain.project`                    the project
``job-<id>``           :mod:`domain.job`                        the job
``execution-<id>``     :mod:`domain.execution`                  the job
``pings-<job id>``     :mod:`domain.heartbeat`                  the job
``apikey-<id>``        :mod:`domain.api_key`                    the key
``erasure-<id>``       :mod:`domain.erasure`                    what was erased
=====================  =======================================  ==================================

Stored names and versions of events are a contract of their own: :mod:`domain.codec`.
"""
