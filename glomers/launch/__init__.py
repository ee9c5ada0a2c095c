"""What `./run.sh` does before anything is installed; so only the standard library is used here.

It sets `.venv` up (environment.py), finds an engine, Maelstrom or the workbench, and runs a
challenge's exact command on it (launcher.py), or the project's own checks (suite.py).
"""
