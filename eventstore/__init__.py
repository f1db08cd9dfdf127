"""The event store: an append-only log that can be replayed, proved, and made to forget.

What was done is recorded as events, each in a *stream* (the history of one thing) and each at a
*position* in the one log of everything. A stream's *version* counts its events. Whoever wants to
record something says which version of the stream they had read; if the stream has moved on since,
the append is refused and they look again. That is all the locking there is.

Appends go through one :class:`~eventstore.appender.Appender` a process, which gathers what is
waiting into one durable transaction. The store decides each append in it
(:mod:`eventstore.admission`), gives out positions under the database's single append lock, chains
the hashes (:mod:`eventstore.hashing`), and has the read models brought up to date in the same
transaction. So a read after a write sees it, and nobody ever sees a position before an earlier one.

What must be told to the outside after the fact is read back from the log by a
:class:`~eventstore.subscription.Subscription`, at least once.

To forget, a subject is *sealed* in the append that deletes it. From then on nothing can be recorded
about it, and its payloads and secrets are erased bit by bit; the envelopes and hashes stay, so the
chain still proves everything else.

A log lives in a SQLite file (:mod:`eventstore.sqlite`) or in a PostgreSQL database
(:mod:`eventstore.postgres`), which many processes may share; what a log does is the same in both
(:mod:`eventstore.sql_store`), and everything else goes through one protocol
(:mod:`eventstore.database`).

This package knows bytes and names. What they mean is the domain's.
"""
