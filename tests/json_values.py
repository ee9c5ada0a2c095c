"""Hypothesis strategies: whatever JSON can carry."""

from __future__ import annotations

from hypothesis import strategies as st

TEXTS = st.text(max_size=5) | st.sampled_from(["", '"', "\\", "\n", "a b", ":a", "\ud800", "😀"])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | TEXTS
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
