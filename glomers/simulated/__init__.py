"""Nodes in this process: an unmodified Python script for each, in virtual time, from a seed.

A run of a node's code is a strand, and strands take turns (turns.py). A script only sees a virtual
world: a virtual standard library (virtual.py, virtual_threading.py, hashes.py), modules of its own
(imports.py), files on a disk of the run (disk.py, files.py, guard.py), and a copy of what Python
has only once per process (borrowed.py). nodes.py puts them together. seizing.py ends code that
doesn't give the interpreter back.
"""
