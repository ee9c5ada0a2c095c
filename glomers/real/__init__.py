"""Nodes as processes behind pipes, in any language, in real time.

A node leads a process group of its own, and is read and written without ever waiting for it
(nodes.py). Whatever it started ends with it (descendants.py).
"""
