"""The service as people run it: a process of its own, the real clock, real sockets, real crashes.

Everything else in ``tests`` moves a clock and takes no time. Here time passes, so there is little of
it, and nothing in it is judged by how fast it went.
"""
