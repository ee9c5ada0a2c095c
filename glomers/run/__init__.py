"""Runs a test, runs it with many seeds, or judges a recorded history.

A test is put together from the parts of `world` (build.py), driven through its phases (drive.py)
and recorded while it runs (recorder.py). A person sees how one test goes (single.py, progress.py).
A sweep runs many simulated tests on all processors (sweep.py). `check` judges a history that was
recorded before or by another program (recorded.py).
"""
