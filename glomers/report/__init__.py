"""What a person sees of a result.

A summary is read from the results alone, so that it looks the same for a test of Maelstrom's.
"""
