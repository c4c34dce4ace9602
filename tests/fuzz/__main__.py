"""Fuzz the parsers for as long as there is time; what breaks one is kept as a seed.

python -m tests.fuzz --minutes 10                # all parsers, an equal share of the time each
python -m tests.fuzz --minutes 5 --only archive  # one

Where atheris is installed it looks for new ways through our code (coverage-guided); else changes
are drawn by chance.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import time

from tests.fuzz.mutations import mutate
from tests.fuzz.parsers import PARSERS
from tests.fuzz.trying import SEEDS, keep, list_seeds, try_input


def main() -> None:
    """Fuzz each parser; exit with 1 if one broke."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=PARSERS, default=list(PARSERS))
    parser.add_argument("--guided", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.guided:
        follow_coverage(flags.only[0], flags.minutes * 60, flags.seed)
        return
    guided = importlib.util.find_spec("atheris") is not None
    print("coverage-guided, by atheris" if guided else "by chance: atheris is not installed")
    seconds = flags.minutes * 60 / len(flags.only)
    broken = [name for name in flags.only if not fuzz(name, seconds, flags.seed, guided)]
    sys.exit(f"broken: {', '.join(broken)}; the inputs are in {SEEDS}" if broken else 0)


def fuzz(name: str, seconds: float, seed: int, guided: bool) -> bool:
    """Fuzz one parser for some seconds; whether it held."""
    if guided:  # a process each: libFuzzer ends its own
        command = [sys.executable, "-m", "tests.fuzz", "--guided", "--only", name]
        command += ["--minutes", str(seconds / 60), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        print(f"{name}: {runs[-1] if runs else done.stderr[-3000:]}", flush=True)
        return done.returncode == 0
    seeds, dice, tries = list_seeds(name), random.Random(f"{name} {seed}"), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(dice.choice(seeds), seeds, dice)
        tries += 1
        try:
            try_input(name, data)
        except Exception as error:
            print(f"{name}: {error!r} after {tries:,} inputs, kept as {keep(name, data)}")
            return False
    print(f"{name}: {tries:,} inputs, none broke it", flush=True)
    return True


def follow_coverage(name: str, seconds: float, seed: int) -> None:
    """Let libFuzzer choose the inputs by the ways that they take through our modules."""
    import atheris

    # Instrumented while they are imported: what the seeds make the parser import.
    with atheris.instrument_imports(include=["components"]):
        seeds = list_seeds(name)
        for data in seeds:
            try_input(name, data)

    def run(data: bytes) -> None:
        try:
            try_input(name, data)
        except Exception:  # whatever it is, it is a fault: kept, and told by libFuzzer
            keep(name, data)
            raise

    def change(data: bytes, most: int, number: int) -> bytes:
        dice = random.Random(number)
        if dice.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(data or dice.choice(seeds), seeds, dice)[:most]

    words = [f"-max_total_time={int(seconds)}", f"-seed={seed or 1}", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *words], run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
