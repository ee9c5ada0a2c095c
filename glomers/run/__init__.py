"""Runs tests: one, the same one with many seeds, or the judging of what was recorded.

A test is put together from the parts of `world` (build.py), driven through its phases (drive.py)
and written down while it runs (recorder.py). One test is shown to a person (single.py,
progress.py). A sweep is many simulated tests over all processors (sweep.py). `check` judges a
history that was recorded before or elsewhere (recorded.py).
"""
