"""What the nodes of shared_module.py are to share: a module of Python's, which they can't."""

seen = set()
