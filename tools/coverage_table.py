"""tools/coverage_table.py SUMMARY: gcovr's summary as a table of folders; exits with 1 under 90% of all lines."""

import collections
import json
import sys

WANTED = 90.0


def percent(covered, total):
    return 100.0 * covered / total if total else 100.0


def main():
    with open(sys.argv[1]) as file:
        files = json.load(file)["files"]
    folders = collections.defaultdict(lambda: [0, 0])
    for entry in files:
        top, folder = entry["filename"].split("/")[:2]
        for name in (f"{top}/{folder}" if "." not in folder else top, "all"):
            folders[name][0] += entry["line_covered"]
            folders[name][1] += entry["line_total"]
    everything = folders.pop("all")
    for name, (covered, total) in [*sorted(folders.items()), ("all", everything)]:
        print(f"{name:36} {covered:6} of {total:6} lines  {percent(covered, total):5.1f}%")
    print("the files with the most lines that no test runs:")
    for entry in sorted(files, key=lambda entry: entry["line_covered"] - entry["line_total"])[:10]:
        missed = entry["line_total"] - entry["line_covered"]
        print(f"  {missed:4} of {entry['line_total']:4}  {entry['filename']}")
    if percent(*everything) < WANTED:
        sys.exit(f"{percent(*everything):.1f}% of the lines are run by tests, but {WANTED:g}% are wanted")


if __name__ == "__main__":
    main()
