#!/usr/bin/env python3
"""The worker looks for jobs and waits with the lock held, in which jobs are added, too."""

import threading

from maelstrom_node import Node

node = Node()
jobs: list["Job"] = []
has_jobs = threading.Condition()  # its lock guards the jobs


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
        with has_jobs:
            while not jobs:
                has_jobs.wait()
            job = jobs.pop(0)
        job.answer = {"type": "echo_ok", "echo": job.message.body["echo"]}
        job.done.set()


@node.on("echo")
def echo(message):
    job = Job(message)
    with has_jobs:
        jobs.append(job)
        has_jobs.notify()
    job.done.wait()
    return job.answer


if __name__ == "__main__":
    node.run()
