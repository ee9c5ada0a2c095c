"""What surrounds the nodes of a test, whatever they are made of.

Network, services, clients, load and faults are state machines without threads, which only know the
time and can ask to be called later. One loop runs them, on the real clock or on a virtual one
(loop.py), so each is written once. cluster.py says what a test needs of its nodes; `real` and
`simulated` supply it. world.py holds loop, network, services and nodes together, and setup.py asks
nodes what comes before the load. protocol.py judges what nodes print, and oddities.py counts what
is worth a warning.
"""
