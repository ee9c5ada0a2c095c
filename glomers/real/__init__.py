"""Nodes as processes behind pipes, in any language, in real time.

A node leads a process group of its own. The workbench reads and writes its pipes without ever
waiting for it (nodes.py). All processes that a node started end with it (descendants.py).
"""
