"""Nodes in this process: an unmodified Python script for each, in virtual time, from a seed.

A run of a node's code is a strand, and strands take turns (turns.py). What a script sees of the
outer world is virtual: the standard library (virtual.py, virtual_threading.py), its modules
(imports.py), and what Python has only once per process (borrowed.py). nodes.py puts them together.
"""
