"""What happened in a test, and how it is kept.

A history is a list of operations (operations.py). It is written and read as EDN, as Maelstrom does
(edn.py), into a test's folder (store.py), with the command that had it (command.py). Old tests are
removed (retention.py). values.py compares JSON values as Clojure does.
"""
