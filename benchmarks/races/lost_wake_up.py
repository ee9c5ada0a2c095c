#!/usr/bin/env python3
"""A lost wake-up: the notification comes before the worker waits, and nobody repeats it.

The race is between the line that finds no jobs and the line that waits for some.
"""

import threading

from maelstrom_node import Node

node = Node()
jobs: list["Job"] = []
has_jobs = threading.Condition()


class Job:
    """A request, and its answer as soon as that is there."""

    def __init__(self, message):
        self.message = message
        self.done = threading.Event()


@node.on("init")
def init(message):
    node.spawn(work)


def work():
    while True:
        if not jobs:
            with has_jobs:
                has_jobs.wait()
        job = jobs.pop(0)
        job.answer = {"type": "echo_ok", "echo": job.message.body["echo"]}
        job.done.set()


@node.on("echo")
def echo(message):
    job = Job(message)
    jobs.append(job)
    with has_jobs:
        has_jobs.notify()
    job.done.wait()
    return job.answer


if __name__ == "__main__":
    node.run()
