"""The workbench: runs, simulates, judges and shows tests of Maelstrom nodes, with no JVM.

Each folder is a room with a theme, and says in its first lines what lives there. Imports go one
way, down this list:

    cli.py        the commands
    testing.py    simulated clusters for tests (plugin.py: the pytest fixture)
    run/          one test, a sweep, an exploration: build, drive, record, show progress
    simulated/    nodes in this process, in virtual time
    real/         nodes behind pipes
    world/        loop, network, services, clients, load, faults
    workloads/    operations, final phase, checker of each
    checkers/     pure functions: history in, result out
    report/       what a person sees of a result
    launch/       what ./run.sh does before anything is installed
    scenario.py   every decision of a run, as a file
    history/      what happened, and how it is kept
    copies.py     files to begin with: the scripts, a new node
    options.py  challenges.py  errors.py  exits.py  interrupts.py  invocation.py

Data flows one way round: options, test, load, client, network, node, network, client, history,
checker, result, store, report.
"""

__version__ = "1.0"
