"""Lets a process load our modules from their sources although compiled ones lie beside them.

Coverage can only see interpreted code, and the tests hold both against each
other. The path hook knows no extension modules and answers for our packages
only; everything else is found as ever.
"""

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

from native.modules import ROOT, compiled

VARIABLE = "ORDERGATE_INTERPRETED"


def is_asked() -> bool:
    """Whether the environment asks for the sources."""
    return os.environ.get(VARIABLE) == "1"


def interpret() -> None:
    """From now on this process loads our modules from their sources.

    Raises:
        RuntimeError: a compiled one has been loaded already.
    """
    folders = {path.parent for path in compiled()}
    loaded = [name for name, module in sys.modules.items() if _is_compiled(getattr(module, "__file__", None), folders)]
    if loaded:
        raise RuntimeError(f"too late to interpret: {', '.join(sorted(loaded))} came compiled")

    def finder(path: str) -> FileFinder:
        if Path(path) not in folders:
            raise ImportError(f"{path} is not for this hook")
        return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    for folder in folders:
        sys.path_importer_cache.pop(str(folder), None)


def _is_compiled(file: str | None, folders: set[Path]) -> bool:
    return file is not None and file.endswith(".so") and Path(file).parent in folders and file.startswith(str(ROOT))
