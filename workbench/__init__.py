"""A Maelstrom-compatible workbench: network, load, faults, checkers and reports, without a JVM."""
