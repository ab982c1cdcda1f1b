#!/usr/bin/env python3
"""Reads kept results into pandas data frames; as a script, prints the median of a column per experiment, load and cell.

    experiments/read_results.py                             # p99 of every kept result
    experiments/read_results.py -c rate_per_s results/peers/reference

From a notebook:

    from read_results import read
    runs = read("results/*/reference")                      # all runs.csv as one frame
    workers = read("results/*/reference", "workers")        # any table of columns.csv

Needs pandas. Where the CSV files are missing, `lab report` writes them first (LAB names the program, default: target/release/lab).
"""

import argparse
import glob
import os
import pathlib
import subprocess
import sys

try:
    import pandas
except ImportError:
    sys.exit("read_results.py: pandas is missing; `pip install pandas` and try again")

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = os.environ.get("LAB", str(ROOT / "target/release/lab"))


def folders(pattern):
    """The results folders that a path or a pattern names."""
    found = [pathlib.Path(path) for path in sorted(glob.glob(str(pattern)))]
    return [path for path in found if (path / "spec.toml").is_file()]


def table(folder, name):
    """One table of a results folder, or None where the runs have nothing for it."""
    path = folder / f"{name}.csv"
    if not path.exists() or "experiment" not in path.open().readline().split(","):
        subprocess.run([LAB, "report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return pandas.read_csv(path) if path.exists() else None


def read(pattern, name="runs"):
    """A table of all results folders that `pattern` names, one below the other. A run is known by experiment, label, started and
    order."""
    tables = [frame for frame in (table(folder, name) for folder in folders(pattern)) if frame is not None]
    if not tables:
        raise FileNotFoundError(f"no results folder with {name}.csv at {pattern}")
    return pandas.concat(tables, ignore_index=True)


def main():
    parser = argparse.ArgumentParser(description="Median of a column of runs.csv per experiment, load and cell, over the runs that count.")
    parser.add_argument("folders", nargs="*", default=[str(ROOT / "results/*/reference")], help="results folders or patterns")
    parser.add_argument("-c", "--column", default="response_p99_us", help="a column of runs.csv (see `lab schema columns`)")
    options = parser.parse_args()
    runs = pandas.concat([read(pattern) for pattern in options.folders], ignore_index=True)
    if options.column not in runs:
        sys.exit(f"read_results.py: runs.csv has no column {options.column}; `lab schema columns` lists them")
    # A trial run (round 0) measures capacity, an INVALID one measures nothing.
    counted = runs[(runs["round"] > 0) & ~runs["verdict"].isin(["INVALID", "SKIPPED"])]
    medians = counted.groupby(["experiment", "load", "cell"])[options.column].agg(["median", "count"])
    print(medians.to_string(float_format=lambda value: f"{value:,.1f}"))


if __name__ == "__main__":
    main()
