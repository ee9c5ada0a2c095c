"""Incidents are counted by kind, and no node can make them take all memory."""

from __future__ import annotations

from glomers.world.incidents import MOST_KINDS, Incidents


def test_beyond_so_many_kinds_they_are_only_counted():
    incidents = Incidents()
    for number in range(MOST_KINDS + 50):
        incidents.add("exception", f"{number}", f"raised {number}", {"n0": 1})
    incidents.add("exception", "0", "raised 0", {"n1": 1})
    incidents.note("stderr", "n0", "still told")
    *kept, rest = incidents.warnings()
    assert len(kept) == MOST_KINDS
    assert kept[0]["nodes"] == {"n0": 1, "n1": 1}
    assert (rest["text"], rest["count"]) == ("raised an exception of yet another kind", 50)
    (stderr,) = incidents.remarkable()
    assert stderr["first"]["line"] == "still told"
