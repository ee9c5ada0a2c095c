#!/usr/bin/env bash
# Runs a challenge of Gossip Glomers, or this project's tests; ./run.sh without arguments lists
# challenges and options.
#
# This part only finds a Python and hands over to glomers/launch/launcher.py, which sets up .venv and
# does the rest. It works in bash 3.2, which is what macOS has.
set -euo pipefail

# A virtual environment must not be led astray, nor a script miss the library beside it.
unset PYTHONHOME PYTHONSAFEPATH

# If standard input is closed, the first file that is opened would take its place.
{ true 3<&0; } 2>/dev/null || exec </dev/null

# The folder of this file, which may have been called by way of links.
checkout() {
  local file=${BASH_SOURCE[0]} target
  while [[ -L $file ]]; do
    target=$(readlink "$file")
    [[ $target == /* ]] || target=$(dirname "$file")/$target
    file=$target
  done
  (CDPATH='' cd -P -- "$(dirname "$file")" && pwd)
}

# What a Python says of itself: its path, or what it lacks.
PROBE='
import sys
if sys.version_info < (3, 10):
    print("is %d.%d.%d, which is too old: 3.10 or newer is needed" % sys.version_info[:3])
    sys.exit(1)
import importlib.util
if not importlib.util.find_spec("ensurepip"):
    print("lacks the module venv (Debian and Ubuntu have it in the package python3-venv)")
    sys.exit(1)
print(sys.executable)
'

# The first Python that will do: once .venv is set up, its own.
find_python() {
  local candidate answer problem="no Python was found: 3.10 or newer is needed"
  if [[ -n ${PYTHON:-} ]]; then
    set -- "$PYTHON"
    problem="PYTHON is $PYTHON, which is no Python"
  elif [[ -x $here/.venv/bin/python && -f $here/.venv/installed ]]; then
    echo "$here/.venv/bin/python"
    return
  else
    set -- python3 python3.14 python3.13 python3.12 python3.11 python3.10
  fi
  for candidate; do
    if answer=$("$candidate" -c "$PROBE" 2>/dev/null); then
      echo "$answer"
      return
    fi
    [[ -z $answer ]] || problem="$candidate $answer"
  done
  echo "error: $problem; install one, or name one: PYTHON=/path/to/python3 ./run.sh" >&2
  return 254
}

from=$PWD
here=$(checkout)
python=$(find_python)
cd "$here"
exec "$python" -m glomers challenge --from "$from" "$@"
