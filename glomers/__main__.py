"""The command `glomers`, or `python -m glomers`.

Any Python must be able to read this file, to say that it is too old.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036
    sys.stderr.write(
        "error: %s is Python %d.%d, which is too old: 3.10 or newer is needed; "  # noqa: UP031
        "./run.sh finds one\n" % ((sys.executable,) + tuple(sys.version_info[:2]))  # noqa: RUF005
    )
    sys.exit(254)


def main():  # type: () -> int
    """Run the command and return its exit status."""
    try:
        from glomers.cli import main
        from glomers.exits import fix_hash_key, leave, prepare_streams

        prepare_streams()
        fix_hash_key()
        return leave(main())
    except KeyboardInterrupt:  # while it was being imported
        sys.stderr.write("error: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
