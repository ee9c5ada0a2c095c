"""What a person sees of a result.

A summary is made of the results alone, so that it looks the same for a test of Maelstrom's. Which
figures there are in a result is for its checker to say; here is what figures are made of. The page
of a test shows all of it, in a browser: `page.py` has its theory, `template` its parts.
"""
