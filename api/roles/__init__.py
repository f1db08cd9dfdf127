"""What a process of CronPulse can be: everything at once (``serve``), or one role among others.

Each role is a function that runs until a signal says to stop, in a module of its own, so that a process
loads only what it needs.
"""
