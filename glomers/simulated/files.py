"""The files that a simulated node sees: those on the disk of its cluster, and real ones.

What a node creates or changes is on the cluster's disk (disk.py). Files that really exist, such as
the script and what is beside it, can be read; one that a node writes anew, or removes, is replaced
for the nodes of this run, and really stays as it is. To append to a real file is refused, because a
run would then depend on what another one has left behind.

`Files` has the functions of `os` that take a path, and those that take the descriptor of a file on
the disk. Files over such a descriptor are Python's own, on a raw file that reads and writes here.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any, cast

from glomers.history.times import NANOS
from glomers.simulated.borrowed import Belongings, lender
from glomers.simulated.descriptors import Descriptors, End, RawFile, failure, is_own
from glomers.simulated.disk import Disk, Inode
from glomers.simulated.turns import TurnLoop

ONLY_READ = (
    "can't be simulated: a node can only read a file that really exists, or replace it, because"
    " each run begins with an empty disk; remove the file, or name another one"
)
ONLY_FILES = "a simulated disk has files and folders only"
ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
SYNCED = os.O_SYNC | getattr(os, "O_DSYNC", 0)
MODE = 0o644
FOLDER_MODE = 0o755
DEVICE = 0x676C  # the number of the disk, in what `stat` says

# Functions of `os` that the disk doesn't have, and those that change nothing that it keeps.
DISK_REFUSED = """
    chown lchown link symlink mkfifo mknod chflags lchflags lchmod setxattr removexattr fwalk
"""
SAME_NAME = """
    access chdir getcwd listdir lstat mkdir rename rmdir scandir stat truncate unlink
"""
HARMLESS = ("chmod", "utime")


def _error(number: int, path: Any) -> OSError:
    if isinstance(path, int):  # a descriptor of a folder
        return failure(number)
    return OSError(number, os.strerror(number), os.fspath(path))


def _flags(mode: str) -> int:
    """The flags of `os.open` for a mode of `open`. Raises ValueError if it is none."""
    if set(mode) - set("rwxabt+") or len(set(mode)) < len(mode) or {*"bt"} <= set(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    kinds = set(mode) & set("rwxa")
    if len(kinds) != 1:
        raise ValueError("must have exactly one of create/read/write/append mode")
    more = {
        "r": 0,
        "w": os.O_CREAT | os.O_TRUNC,
        "x": os.O_CREAT | os.O_EXCL,
        "a": os.O_CREAT | os.O_APPEND,
    }[kinds.pop()]
    return more | (os.O_RDWR if "+" in mode else os.O_RDONLY if "r" in mode else os.O_WRONLY)


class OpenFile(End):
    """An open file on the disk, with its position. Some methods do what the node's `os` does."""

    seekable = True

    def __init__(self, files: Files, inode: Inode, flags: int) -> None:
        self.readable = flags & ACCESS != os.O_WRONLY
        self.writable = flags & ACCESS != os.O_RDONLY
        self.inode = inode
        self._appends = bool(flags & os.O_APPEND)
        self._syncs = bool(flags & SYNCED)
        self._files = files
        self._position = 0

    def raw(
        self, descriptors: Descriptors, fd: int, mode: str, closefd: bool, name: object
    ) -> io.RawIOBase:
        return DiskFile(descriptors, fd, mode.replace("b", "").replace("t", ""), closefd, name)

    def has_something(self) -> bool:
        return True

    def read(self, size: int) -> bytes:
        data = self.read_at(size, self._position)
        self._position += len(data)
        return data

    def read_at(self, size: int, offset: int) -> bytes:
        if not self.readable:
            raise failure(errno.EBADF)
        return bytes(self.inode.data[offset : offset + size])

    def write(self, data: bytes) -> None:
        if self._appends:
            self._position = len(self.inode.data)
        self.write_at(data, self._position)
        self._position += len(data)

    def write_at(self, data: Any, offset: int) -> int:
        data = bytes(memoryview(data))
        if not self.writable:
            raise failure(errno.EBADF)
        if self._files.acts():
            self._files.disk.write(self._files.node, self.inode, offset, data)
            if self._syncs:
                self.sync()
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: len(self.inode.data),
        }.get(whence)
        if start is None or start + offset < 0:
            raise failure(errno.EINVAL)
        self._position = start + offset
        return self._position

    def truncate(self, size: int) -> None:
        if not self.writable or size < 0:
            raise failure(errno.EINVAL)
        if self._files.acts():
            self._files.disk.truncate(self._files.node, self.inode, size)

    def sync(self) -> None:
        if self._files.acts():
            self._files.disk.sync(self.inode)

    def stat(self) -> os.stat_result:
        return self._files.stat_of(self.inode)


class OpenFolder(End):
    """An open folder, which can be synced and listed. It may be a real one."""

    def __init__(self, files: Files, path: str) -> None:
        self.path = path
        self._files = files

    def read(self, size: int) -> bytes:
        raise failure(errno.EISDIR)

    def sync(self) -> None:
        if self._files.acts():
            self._files.disk.sync_folder(self.path)

    def stat(self) -> os.stat_result:
        return cast(os.stat_result, self._files.stat(self.path))


class DiskFile(RawFile):
    """A file on the disk, without a buffer."""

    def __init__(
        self, descriptors: Descriptors, fd: int, mode: str, closefd: bool, name: object
    ) -> None:
        super().__init__(descriptors, fd, mode[0] == "r", closefd, name)
        self.mode = mode
        self._end = cast(OpenFile, descriptors.end(fd))
        if mode[0] == "a":
            self._end.seek(0, os.SEEK_END)

    def readable(self) -> bool:
        return self.mode[0] == "r" or "+" in self.mode

    def writable(self) -> bool:
        return self.mode[0] != "r" or "+" in self.mode

    def seekable(self) -> bool:
        self.fileno()
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.fileno()
        return self._end.seek(offset, whence)

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def truncate(self, size: int | None = None, /) -> int:
        if not self.writable():
            raise io.UnsupportedOperation("File not open for writing")
        size = self.tell() if size is None else size
        self._end.truncate(size)
        return size


class Entry:
    """What `os.scandir` tells of a file or a folder on the disk."""

    def __init__(self, folder: str, name: str, status: os.stat_result) -> None:
        self.name = name
        self.path = os.path.join(folder, name)  # noqa: PTH118 - the folder may be "."
        self._status = status

    def __fspath__(self) -> str:
        return self.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISDIR(self._status.st_mode)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISREG(self._status.st_mode)

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self._status

    def inode(self) -> int:
        return self._status.st_ino

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"


class Entries:
    """What `os.scandir` returns."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


class Files:
    """The files as `node` sees them. `is_running()` tells whether its code runs."""

    def __init__(
        self,
        node: str,
        disk: Disk,
        loop: TurnLoop,
        belongings: Belongings,
        descriptors: Descriptors,
        is_running: Callable[[], bool],
    ) -> None:
        self.node = node
        self.disk = disk
        self._loop = loop
        self._belongings = belongings
        self._descriptors = descriptors
        self._is_running = is_running

    def acts(self) -> bool:
        """Whether what happens now counts. Raises NodeStopped if the node has been killed.

        What finalizers do, at any time, doesn't count, since no two runs would be the same.
        """
        if not self._is_running():
            return False
        self._loop.check_stopped()
        return True

    # Paths

    def where(self, path: Any) -> str:
        """The absolute path that a path means. Raises OSError if it is empty."""
        if isinstance(path, int):
            end = self._descriptors.end(path)
            if not isinstance(end, OpenFolder):
                raise failure(errno.ENOTDIR)
            return end.path
        name = os.fsdecode(os.fspath(path))
        if not name:
            raise _error(errno.ENOENT, path)
        return os.path.realpath(os.path.join(self._belongings.cwd, name))  # noqa: PTH118

    def _inode(self, path: Any, where: str) -> Inode | None:
        """What is on the disk at a path; None if it is real. Raises OSError if it doesn't exist."""
        if where in self.disk.names:
            inode = self.disk.names[where]
            if inode is None:
                raise _error(errno.ENOENT, path)
            return inode
        above = self.disk.names.get(os.path.dirname(where))  # noqa: PTH120
        if above is not None:
            raise _error(errno.ENOENT if above.is_folder else errno.ENOTDIR, path)
        return None

    def _find(self, path: Any) -> tuple[str, Inode | None, bool]:
        """Where it is, what is there on the disk (None if it is real), and whether it is a folder.

        Raises OSError if it doesn't exist.
        """
        where = self.where(path)
        inode = self._inode(path, where)
        if inode is not None:
            return where, inode, inode.is_folder
        try:
            return where, None, stat.S_ISDIR(os.stat(where).st_mode)  # noqa: PTH116
        except OSError as error:
            raise _error(error.errno or errno.ENOENT, path) from None

    def exists(self, path: Any) -> bool:
        try:
            self._find(path)
        except FileNotFoundError:
            return False
        return True

    def _check_place(self, path: Any, where: str) -> None:
        """Raise OSError if there can't be anything new at a path."""
        parent = os.path.dirname(where)  # noqa: PTH120
        try:
            _, inode, is_folder = self._find(parent)
        except OSError as error:
            raise _error(error.errno or errno.ENOENT, path) from None
        if not is_folder:
            raise _error(errno.ENOTDIR, path)
        if inode is None and not os.access(parent, os.W_OK):
            raise _error(errno.EACCES, path)

    # Opening

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """`os.open`. A real file that is read has a real descriptor."""
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable in a simulation")
        self._loop.check_stopped()
        writes = flags & ACCESS != os.O_RDONLY
        where = self.where(path)
        try:
            _, inode, is_folder = self._find(path)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            if os.fsdecode(os.fspath(path)).endswith("/"):
                raise _error(errno.EISDIR, path) from None
            self._check_place(path, where)
            return self._open_inode(self.disk.make(self.node, where), flags)
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        if is_folder:
            if writes or flags & os.O_CREAT:
                raise _error(errno.EISDIR, path)
            return self._descriptors.add(OpenFolder(self, where))
        if flags & getattr(os, "O_DIRECTORY", 0):
            raise _error(errno.ENOTDIR, path)
        if inode is not None:
            if flags & os.O_TRUNC and writes and self.acts():
                self.disk.truncate(self.node, inode, 0)
            return self._open_inode(inode, flags)
        if not writes or where == os.devnull:
            return os.open(where, flags, mode)
        if not flags & os.O_TRUNC or not stat.S_ISREG(os.stat(where).st_mode):  # noqa: PTH116
            raise OSError(errno.EROFS, ONLY_READ, os.fspath(path))
        if not os.access(where, os.W_OK):
            raise _error(errno.EACCES, path)
        return self._open_inode(self.disk.make(self.node, where), flags)

    def open_file(
        self,
        path: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        """`open` of a path. Raises what the real one does."""
        if not closefd:
            raise ValueError("Cannot use closefd=False with file name")
        path, flags = os.fspath(path), _flags(mode)
        fd = (opener or self.open)(path, flags | os.O_CLOEXEC)
        rest = buffering, encoding, errors, newline
        if not is_own(fd):  # with an opener, so that the file has the path as its name
            return open(path, mode, *rest, opener=lambda *_: fd)
        try:
            if isinstance(self._descriptors.end(fd), OpenFolder):
                raise _error(errno.EISDIR, path)
            if "b" in mode and (encoding, errors, newline) != (None, None, None):
                raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
            return self._descriptors.open(fd, mode, *rest, name=path)
        except BaseException:
            self._descriptors.close(fd)
            raise

    def _open_inode(self, inode: Inode, flags: int) -> int:
        return self._descriptors.add(OpenFile(self, inode, flags))

    # Looking

    def stat_of(self, inode: Inode) -> os.stat_result:
        mode = stat.S_IFDIR | FOLDER_MODE if inode.is_folder else stat.S_IFREG | MODE
        size = len(inode.data)
        time, kinds = inode.modified / NANOS, ("atime", "mtime", "ctime")
        times = {f"st_{kind}": time for kind in kinds}
        times |= {f"st_{kind}_ns": inode.modified for kind in kinds}
        ids = os.getuid(), os.getgid()
        whole = int(time)
        return os.stat_result(
            (mode, inode.number, DEVICE, 1, *ids, size, whole, whole, whole), times
        )

    def stat(self, path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> Any:
        if isinstance(path, int) and not is_own(path):
            return os.stat(path)  # noqa: PTH116
        if isinstance(path, int):
            return cast(OpenFile, self._descriptors.end(path)).stat()
        where = self.where(path)
        inode = self._inode(path, where)
        if inode is not None:
            return self.stat_of(inode)
        try:
            return os.stat(self._real(path), follow_symlinks=follow_symlinks)  # noqa: PTH116
        except OSError as error:
            raise _error(error.errno or errno.ENOENT, path) from None

    def _real(self, path: Any) -> str:
        """A path of which the last part may be a symbolic link."""
        return os.path.join(self._belongings.cwd, os.fsdecode(os.fspath(path)))  # noqa: PTH118

    def lstat(self, path: Any, *, dir_fd: Any = None) -> Any:
        return self.stat(path, follow_symlinks=False)

    def access(self, path: Any, mode: int, **_: Any) -> bool:
        try:
            where, inode, is_folder = self._find(path)
        except OSError:
            return False
        if inode is None:
            return os.access(where, mode)
        return is_folder or not mode & os.X_OK

    def _names(self, path: Any) -> dict[str, Inode | None]:
        """The names in a folder; None stands for what is real."""
        where, inode, is_folder = self._find(path)
        if not is_folder:
            raise _error(errno.ENOTDIR, path)
        names: dict[str, Inode | None] = {}
        if inode is None:
            names.update(dict.fromkeys(sorted(os.listdir(where))))  # noqa: PTH208
        for name, there in self.disk.children(where).items():
            if there is not None:
                names[name] = there
            else:
                names.pop(name, None)
        return names

    def listdir(self, path: Any = ".") -> list[Any]:
        names = list(self._names(path))
        return [os.fsencode(name) for name in names] if isinstance(path, bytes) else names

    def scandir(self, path: Any = ".") -> Entries:
        folder = "" if isinstance(path, int) else os.fsdecode(os.fspath(path))
        names, where = self._names(path), self.where(path)
        real = {}
        if None in names.values():
            with os.scandir(where) as entries:
                real = {entry.name: entry for entry in entries}
        return Entries(
            [
                Entry(folder, name, self.stat_of(inode))
                if inode is not None
                else Entry(folder, name, real[name].stat())
                for name, inode in names.items()
            ]
        )

    # Changing

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: Any = None) -> None:
        where = self.where(path)
        if self.exists(path):
            raise _error(errno.EEXIST, path)
        self._check_place(path, where)
        if self.acts():
            self.disk.make(self.node, where, folder=True)

    def unlink(self, path: Any, *, dir_fd: Any = None) -> None:
        where, _, is_folder = self._find(path)
        if is_folder:
            raise _error(errno.EISDIR, path)
        if self.acts():
            self.disk.rename(self.node, {where: None})

    def rmdir(self, path: Any, *, dir_fd: Any = None) -> None:
        where, inode, is_folder = self._find(path)
        if not is_folder:
            raise _error(errno.ENOTDIR, path)
        if self._names(path):
            raise _error(errno.ENOTEMPTY, path)
        if inode is None:
            raise OSError(errno.EROFS, ONLY_READ, os.fspath(path))
        if self.acts():
            self.disk.rename(self.node, {where: None})

    def rename(self, src: Any, dst: Any, *, src_dir_fd: Any = None, dst_dir_fd: Any = None) -> None:
        def failed(number: int | None) -> OSError:
            number = number or errno.ENOENT
            return OSError(number, os.strerror(number), os.fspath(src), None, os.fspath(dst))

        try:
            source, inode, is_folder = self._find(src)
        except OSError as error:
            raise failed(error.errno) from None
        target = self.where(dst)
        if inode is None:
            raise OSError(errno.EROFS, ONLY_READ, os.fspath(src))
        if source == target:
            return
        try:
            self._check_place(dst, target)
        except OSError as error:
            raise failed(error.errno) from None
        if is_folder and target.startswith(source + "/"):
            raise failed(errno.EINVAL)
        if self.exists(dst):
            _, other, to_folder = self._find(dst)
            problem = 0
            if is_folder != to_folder:
                problem = errno.EISDIR if to_folder else errno.ENOTDIR
            elif to_folder and (other is None or self._names(dst)):
                problem = errno.ENOTEMPTY
            if problem:
                raise failed(problem)
        moved = {path: self.disk.names[path] for path in (source, *self.disk.below(source))}
        if self.acts():
            self.disk.rename(
                self.node,
                {
                    **dict.fromkeys(moved),
                    **{target + path[len(source) :]: there for path, there in moved.items()},
                },
            )

    def truncate(self, path: Any, length: int) -> None:
        if isinstance(path, int):
            end: Any = self._descriptors.end(path)
        else:
            fd = self.open(path, os.O_WRONLY)
            end = self._descriptors.end(fd)
            self._descriptors.close(fd)
        end.truncate(length)

    def pass_over(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """What changes neither content nor names; the disk doesn't keep it."""
        if self._find(path)[1] is None:
            raise OSError(errno.EROFS, ONLY_READ, os.fspath(path))

    # The working directory

    def getcwd(self) -> str:
        return self._belongings.cwd

    def chdir(self, path: Any) -> None:
        where, inode, is_folder = self._find(path)
        if not is_folder:
            raise _error(errno.ENOTDIR, path)
        lender.move(self._belongings, where, is_real=inode is None)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions of `os` that take paths."""
        return {
            **{name: getattr(self, name) for name in SAME_NAME.split()},
            "remove": self.unlink,
            "replace": self.rename,
            "getcwdb": lambda: os.fsencode(self.getcwd()),
            "fchdir": self.chdir,
            "sync": self._sync_all,
            **dict.fromkeys(HARMLESS, self.pass_over),
        }

    def _sync_all(self) -> None:
        if self.acts():
            self.disk.sync_all()
