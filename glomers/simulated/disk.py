"""The disk of a simulated cluster: what nodes write survives a kill once it is synced.

All nodes share one file system, as the nodes of a real test share that of their machine. It begins
empty with each run, in front of the real files, of which none is ever changed.

What a node changes is seen at once by all nodes, but lies in a cache first. The disk has it when it
has been synced. A kill of a node is hard on the disk, like a power failure of a machine that has
only this node: of what the node has changed and nobody has synced, it keeps nothing, or all, or a
torn part. (A real SIGKILL loses no more than what the process itself still has in its buffers.)

- The changes of a node since they were last synced form one sequence, in the order in which it made
  them: each byte written is a step, and so is each truncation, and each creation, renaming or
  removal of a name. A kill loses the steps of one range of the sequence. So it may lose the end, or
  have a hole, before a part that was written later and has survived.
- Syncing a file makes its content durable, and its name. Syncing a folder makes the names in it
  durable, but no content. A name that is durable keeps what it depends on: the folders it is in,
  and earlier changes of the same name. A renaming is atomic.
- Where content was lost and later content survives, the file has what was there before, or zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from posixpath import dirname
from random import Random

Range = tuple[int, int]  # of steps that are lost: the first, and the one after the last

# Called with a node that has been killed, the how manieth kill it is, and how many steps it had not
# synced.
Decide = Callable[[str, int, int], Range]


def lose_all(node: str, nth: int, steps: int) -> Range:
    """The kill that loses whatever wasn't synced."""
    return 0, steps


def drawn(random: Random) -> Decide:
    """Kills that lose nothing, or all, or a range, each as likely, from that stream."""

    def decide(node: str, nth: int, steps: int) -> Range:
        kind = random.choice(("nothing", "all", "the end", "a part"))
        if kind == "nothing":
            return 0, 0
        if kind == "all":
            return 0, steps
        begin = random.randrange(steps)
        return begin, steps if kind == "the end" else random.randrange(begin, steps) + 1

    return decide


@dataclass(eq=False, slots=True)
class Edit:
    """A change of a file's content that isn't synced: `data` at `offset`, or if that is None, the
    new size `offset`. `before` and `size` are what it takes to undo it."""

    number: int
    node: str | None  # None if no kill can lose it any more
    offset: int
    data: bytes | None
    before: bytes
    size: int

    @property
    def steps(self) -> int:
        return 1 if self.data is None else len(self.data)


@dataclass(eq=False, slots=True)
class Inode:
    """A file, or a folder. `modified` is in nanoseconds of the loop's time."""

    number: int
    is_folder: bool
    modified: int
    data: bytearray = field(default_factory=bytearray)
    edits: list[Edit] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Naming:
    """A change of names that isn't synced: what each path then means, None if nothing."""

    number: int
    node: str
    names: dict[str, Inode | None]
    steps: int = 1


class Disk:
    """The files of all nodes, by absolute paths. `now` tells the time in nanoseconds.

    A path in `names` whose value is None has been removed, even if there really is such a file.
    `lost(node, nth, range, steps)` is called when the nth kill of a node loses a range of its steps
    that are not synced, before they are lost.
    """

    def __init__(self, now: Callable[[], int], decide: Decide = lose_all) -> None:
        self.names: dict[str, Inode | None] = {}
        self.decide = decide
        self.lost: Callable[[str, int, Range, int], object] = lambda node, nth, range, steps: None
        self._now = now
        self._synced: dict[str, Inode | None] = {}
        self._namings: list[Naming] = []
        self._edited: dict[Inode, None] = {}  # the files that have edits, in order
        self._numbers = 0
        self._kills: Counter[str] = Counter()

    # Looking

    def children(self, folder: str) -> dict[str, Inode | None]:
        """What is known of the names in a folder."""
        start = folder.rstrip("/") + "/"
        return {
            path[len(start) :]: inode
            for path, inode in self.names.items()
            if path.startswith(start) and "/" not in path[len(start) :]
        }

    def below(self, folder: str) -> list[str]:
        """All paths in a folder, however deep."""
        return [path for path in self.names if path.startswith(folder.rstrip("/") + "/")]

    def unsynced(self, node: str) -> list[str]:
        """The paths of what a node has changed and not synced."""
        return [
            path
            for path in dict.fromkeys(
                (*self.names, *(path for naming in self._namings for path in naming.names))
            )
            if any(naming.node == node and path in naming.names for naming in self._namings)
            or any(edit.node == node for edit in getattr(self.names.get(path), "edits", ()))
        ]

    def digest(self) -> str:
        """A text that tells this state of the disk from others; "" if nothing was ever written."""
        if not self.names:
            return ""
        known = {
            path: inode and (inode.is_folder, bytes(inode.data))
            for path, inode in sorted(self.names.items())
        }
        return blake2b(repr(known).encode("utf-8", "surrogatepass")).hexdigest()

    # Changing

    def make(self, node: str, path: str, *, folder: bool = False) -> Inode:
        """Create a file or a folder."""
        inode = Inode(self._next(), folder, self._now())
        self.rename(node, {path: inode})
        return inode

    def rename(self, node: str, names: dict[str, Inode | None]) -> None:
        """Let these paths mean something else."""
        self.names.update(names)
        self._namings.append(Naming(self._next(), node, names))

    def write(self, node: str, inode: Inode, offset: int, data: bytes) -> None:
        if data:
            before = bytes(inode.data[offset : offset + len(data)])
            self._note(inode, node, offset, data, before)
            _put(inode.data, offset, data)

    def truncate(self, node: str, inode: Inode, size: int) -> None:
        if size != len(inode.data):
            self._note(inode, node, size, None, bytes(inode.data[size:]))
            _resize(inode.data, size)

    def _note(
        self, inode: Inode, node: str | None, offset: int, data: bytes | None, before: bytes
    ) -> None:
        inode.modified = self._now()
        edit = Edit(self._next(), node, offset, data, before, len(inode.data))
        inode.edits.append(edit)
        self._edited[inode] = None

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    # Syncing

    def sync(self, inode: Inode) -> None:
        """Make the content and the name of a file durable, or the name of a folder."""
        self._forget_edits(inode)
        self._keep([naming for naming in self._namings if inode in naming.names.values()])

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable, and its own."""
        own = self.names.get(folder)
        self._keep(
            naming
            for naming in self._namings
            if any(dirname(path) == folder for path in naming.names)
            or (own is not None and own in naming.names.values())
        )

    def sync_all(self) -> None:
        for inode in list(self._edited):
            self._forget_edits(inode)
        self._keep(self._namings)

    def _forget_edits(self, inode: Inode) -> None:
        inode.edits.clear()
        self._edited.pop(inode, None)

    def _keep(self, wanted: Iterable[Naming]) -> None:
        """Make changes of names durable, with all that they depend on."""
        kept = self._with_causes(wanted)
        for naming in kept:
            self._synced.update(naming.names)
        self._namings = [naming for naming in self._namings if naming not in kept]

    def _with_causes(self, wanted: Iterable[Naming]) -> list[Naming]:
        wanted = set(wanted)
        chosen: list[Naming] = []
        needed: set[str] = set()
        for naming in reversed(self._namings) if wanted else ():
            if naming in wanted or not needed.isdisjoint(naming.names):
                chosen.append(naming)
                for path in naming.names:
                    while path not in needed:
                        needed.add(path)
                        path = dirname(path)
        return chosen[::-1]

    # Losing

    def kill(self, node: str) -> None:
        """A node has been killed: lose what `decide` says of what it had changed and not synced."""
        self._kills[node] += 1
        changes = [edit for inode in self._edited for edit in inode.edits if edit.node == node]
        namings = [naming for naming in self._namings if naming.node == node]
        ordered: list[Edit | Naming] = sorted((*changes, *namings), key=lambda each: each.number)
        steps = sum(change.steps for change in ordered)
        if not steps:
            return
        begin, end = self.decide(node, self._kills[node], steps)
        end = min(end, steps)
        if end > begin:
            self.lost(node, self._kills[node], (begin, end), steps)
        parts: dict[Edit | Naming, Range] = {}  # which steps of each change are lost
        place = 0
        for change in ordered:
            first, last = max(begin - place, 0), min(end - place, change.steps)
            parts[change] = (first, max(first, last))
            place += change.steps
        for inode in list(self._edited):
            self._lose_edits(inode, node, parts)
        self._lose_names(node, [naming for naming in namings if parts[naming] != (0, 1)])

    def _lose_edits(self, inode: Inode, node: str, parts: dict[Edit | Naming, Range]) -> None:
        edits = list(inode.edits)
        if all(edit.node != node for edit in edits):
            return
        for edit in reversed(edits):
            del inode.data[edit.size :]
            inode.data[edit.offset : edit.offset + len(edit.before)] = edit.before
        self._forget_edits(inode)
        others = any(edit.node not in (node, None) for edit in edits)
        for edit in edits:
            begin, end = parts.get(edit, (0, 0))
            owner = None if edit.node == node else edit.node
            self._redo(inode, edit, begin, end, owner)
        if not others:
            self._forget_edits(inode)

    def _redo(self, inode: Inode, edit: Edit, begin: int, end: int, owner: str | None) -> None:
        """Make an edit again, without the steps from `begin` to `end`."""
        if edit.data is None:
            if begin == end:
                self._note(inode, owner, edit.offset, None, bytes(inode.data[edit.offset :]))
                _resize(inode.data, edit.offset)
            return
        for at, data in ((0, edit.data[:begin]), (end, edit.data[end:])):
            if data:
                where = edit.offset + at
                before = bytes(inode.data[where : where + len(data)])
                self._note(inode, owner, where, data, before)
                _put(inode.data, where, data)

    def _lose_names(self, node: str, kept: Sequence[Naming]) -> None:
        self._keep(kept)
        others = [naming for naming in self._namings if naming.node != node]
        needed = self._with_causes(others)
        self._keep(naming for naming in needed if naming.node == node)
        self._namings = [naming for naming in self._namings if naming.node != node]
        self.names = dict(self._synced)
        for naming in self._namings:
            self.names.update(naming.names)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    """Write into a file; what lies between its end and `offset` are zeros."""
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))
