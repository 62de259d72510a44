"""Runs a notebook from top to bottom in a fresh kernel, and writes it with its outputs if told where.

    run.py NOTEBOOK.ipynb [OUT.ipynb]

For scripts/run_notebooks. A cell that fails, an output that shows paths or the name of this machine, and a notebook that
has become too large are errors; nothing is written then.
"""
import os
import pathlib
import re
import socket
import sys
import time

import nbclient
import nbformat

MAX_BYTES = 1 << 20
MAX_SECONDS = 3600  # of a cell; much is left for slow machines

source = pathlib.Path(sys.argv[1]).resolve()
out = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None


def fail(message):
    sys.exit(f"{source.name}: {message}")


def private():
    """What outputs must not show, as patterns."""
    paths = [str(source.parent.parent), str(pathlib.Path.home()), "/tmp/"]
    hosts = [socket.gethostname()] if socket.gethostname() != "localhost" else []
    return [re.escape(p) for p in paths if len(p) > 3] + [rf"\b{re.escape(h)}\b" for h in hosts if len(h) > 3]


def why(cell):
    """What a cell that failed said."""
    said = [o.get("text") or "\n".join(o.get("traceback", [])) for o in cell.get("outputs", [])]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(said)).strip()[-3000:]


notebook = nbformat.read(source, as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count, cell.metadata = [], None, {}

began = time.time()
client = nbclient.NotebookClient(notebook, timeout=MAX_SECONDS, kernel_name="gonb", record_timing=False,
                                 resources={"metadata": {"path": str(source.parent)}})
with open(os.devnull, "w") as nowhere:
    log = os.dup(2)
    os.dup2(nowhere.fileno(), 2)  # the kernel's own log
    try:
        client.execute()
        failed = None
    except Exception as e:  # of many kinds; the kernel may have died too
        failed = e
    finally:
        os.dup2(log, 2)
if failed is not None:
    last = next((c for c in notebook.cells if any(o.output_type == "error" for o in c.get("outputs", []))), None)
    fail(f"this cell failed:\n\n{last.source}\n\n{why(last)}" if last else f"{type(failed).__name__}: {failed}")

seconds = time.time() - began
text = nbformat.writes(notebook) + "\n"
for n, cell in enumerate(notebook.cells):
    for output in cell.get("outputs", []):
        shown = str(output)
        for name in private():
            if re.search(name, shown):
                fail(f"the output of cell {n + 1} shows {name}:\n{shown[:500]}")
pictures = len(re.findall(r"<svg|image/png\"", text))
if len(text) > MAX_BYTES:
    fail(f"{len(text)} bytes with its outputs, more than {MAX_BYTES}")
print(f"{source.name}: ran in {seconds:.0f} s, {pictures} pictures, {len(text) / 1024:.0f} kB", flush=True)
if out:
    temporary = out.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(out)
