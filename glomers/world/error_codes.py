"""Maelstrom's error codes, and whether an operation that ends with one may have happened.

The table is that of Maelstrom's doc/protocol.md. The node library, which imports nothing of ours,
has the same codes; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table. `definite` means that the operation certainly did not happen."""

    code: int | None
    name: str
    definite: bool = True


TIMEOUT = ErrorCode(0, "timeout", definite=False)
NODE_NOT_FOUND = ErrorCode(1, "node-not-found")
NOT_SUPPORTED = ErrorCode(10, "not-supported")
TEMPORARILY_UNAVAILABLE = ErrorCode(11, "temporarily-unavailable")
MALFORMED_REQUEST = ErrorCode(12, "malformed-request")
CRASH = ErrorCode(13, "crash", definite=False)
ABORT = ErrorCode(14, "abort")
KEY_DOES_NOT_EXIST = ErrorCode(20, "key-does-not-exist")
KEY_ALREADY_EXISTS = ErrorCode(21, "key-already-exists")
PRECONDITION_FAILED = ErrorCode(22, "precondition-failed")
TXN_CONFLICT = ErrorCode(30, "txn-conflict")
UNKNOWN = ErrorCode(None, "unknown", definite=False)  # any other code, or no code

ERROR_CODES: Mapping[int | None, ErrorCode] = {
    row.code: row
    for row in (
        TIMEOUT,
        NODE_NOT_FOUND,
        NOT_SUPPORTED,
        TEMPORARILY_UNAVAILABLE,
        MALFORMED_REQUEST,
        CRASH,
        ABORT,
        KEY_DOES_NOT_EXIST,
        KEY_ALREADY_EXISTS,
        PRECONDITION_FAILED,
        TXN_CONFLICT,
    )
}


def error_code(code: int | None) -> ErrorCode:
    """The row of a code; UNKNOWN if the table lacks it."""
    return ERROR_CODES.get(code, UNKNOWN)
