"""What the benchmarks of this folder share: processors, turns, spreads, tables."""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

JAX = "0.10.2"  # the version that the steps in JAX were tried with


class Time:
    """How long further rounds may take; seconds None: as long as they want."""

    def __init__(self, seconds):
        self.end = None if seconds is None else time.monotonic() + seconds

    def left(self):
        return None if self.end is None else max(0, self.end - time.monotonic())

    def share(self, parts):
        """One of so many parts of what is left."""
        return Time(None if self.end is None else self.left() / parts)


def arguments(parser, rounds):
    """The options that all benchmarks have."""
    parser.add_argument("--rounds", type=positive, default=rounds, help=f"default: {rounds}")
    parser.add_argument("--threads", type=int, default=0, help="processors for either; 0: all")
    parser.add_argument("--seconds", type=float, help="leave out rounds that would end later, but for the first")
    parser.add_argument("--markdown", action="store_true", help="print a section of docs/BENCHMARKS.md")


def begin(parser, args):
    """Makes args.threads the number of processors, and args.time the Time, which runs."""
    args.threads, args.time = processors(parser, args.threads), Time(args.seconds)


def positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def processors(parser, wanted):
    """Keeps this process and its children, which size their pools by it, to so many processors, 0: all. -> their number.
    Warns if other programs work on them."""
    if hasattr(os, "sched_setaffinity"):
        here = sorted(os.sched_getaffinity(0))
        if not 0 <= wanted <= len(here):
            parser.error(f"--threads {wanted}: there are {len(here)} processors")
        wanted = wanted or len(here)
        os.sched_setaffinity(0, here[:wanted])
    wanted = wanted or os.cpu_count()
    if busy(wanted):
        # PyTorch's threads spin while they wait, and suffer far more than XLA's.
        progress("warning: other programs use this machine; ratios of time mean little")
    return wanted


def busy(threads):
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > threads / 4


def progress(line):
    print(line, file=sys.stderr, flush=True)


def output(name, command, **options):
    """What a program prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{name} failed with status {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout.strip()


def result(name, command, **options):
    """The line of JSON that a program prints last."""
    return json.loads(output(name, command, **options).splitlines()[-1])


def turns(measures, rounds, limit, show=None):
    """Calls measures, functions by name, in turns, so that a machine that slows down slows all; none always goes first.
    At least one round, and no more than fit into limit, a Time. -> lists of results by name."""
    results = {name: [] for name in measures}
    for i in range(rounds):
        began = time.monotonic()
        for name in list(measures)[::1 if i % 2 == 0 else -1]:
            results[name].append(measures[name]())
            if show:
                progress(f"  round {i + 1}/{rounds} {name}: {show(results[name][-1])}")
        if limit.end is not None and i + 1 < rounds and 2 * time.monotonic() - began > limit.end:
            progress(f"  no time for more than {i + 1} of {rounds} rounds")
            break
    return results


def spread(values, digits=2, scale=1.0):
    """Median (smallest to largest)."""
    middle, low, high = (f"{f(values) * scale:.{digits}f}" for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low}-{high})"


def ratios(these, those):
    """Round by round."""
    return [a / b for a, b in zip(these, those, strict=True)]


def middle(values):
    """For a summary."""
    return round(statistics.median(values), 3)


def markdown(title, about, rows):
    """A section: the first row is the table's head."""
    lines = [f"## {title}", "", about, ""]
    for i, row in enumerate(rows):
        lines.append("| " + " | ".join(row) + " |")
        if i == 0:
            lines.append("|" + "---|" * len(row))
    return "\n".join(lines) + "\n"


def text(title, about, rows):
    """The same to read in a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join([f"\n{title}: {about}", *("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))) for row in rows)])


def show(args, title, about, rows, summary):
    """Prints a table, and one line of JSON; or, for --markdown, a section."""
    if args.markdown:
        print(markdown(title, about, rows), flush=True)
    else:
        print(text(title, about, rows))
        print(json.dumps(summary), flush=True)


def where(threads):
    """A sentence on this machine."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{datetime.date.today()}, {threads} processors of {model}, {platform.system()}"
