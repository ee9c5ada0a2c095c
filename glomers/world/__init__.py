"""The surroundings of the nodes of a test, be they real or simulated.

Network, services, clients, load and faults are state machines without threads, which only know the
time and can ask to be called later. One loop runs them, on the real clock or on a virtual one
(loop.py), so each is written once. cluster.py defines what a test needs of its nodes; `real` and
`simulated` implement it. world.py holds loop, network, services and nodes together, and setup.py
sends nodes the requests that come before the load. protocol.py checks what nodes print,
incidents.py counts their mistakes, and witness.py finds more of those in the messages.
"""
