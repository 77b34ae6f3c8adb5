"""Judges a report of Autobahn's cases.

verdict.py ENGINE server|client INDEX.JSON [--expect "SECTION:CASES ..."]

Prints a table by section and a line for each case that is not as it should be. Exit status 0 when every case is OK or
informational, in its behaviour and in how its connection ended, and when as many cases ran as were expected.
"""

import argparse
import collections
import json
import sys

SECTIONS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "limits and load",
    10: "automatic fragments",
    12: "deflate, payloads",
    13: "deflate, parameters",
}
FINE = ("OK", "INFORMATIONAL")


def cases_of(report):
    """The cases in order. An engine may file a peer under more than one name; there is only ours."""
    cases = {number: result for agent in report.values() for number, result in agent.items()}
    return sorted(cases.items(), key=lambda case: [int(part) for part in case[0].split(".")])


def verdict(result):
    if result["behavior"] not in FINE:
        return result["behavior"]
    # Where the behaviour is only informational, so is the close that belongs to it.
    if result["behaviorClose"] not in FINE and result["behavior"] != "INFORMATIONAL":
        return "closing: " + result["behaviorClose"]
    return result["behavior"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("engine")
    arguments.add_argument("side", choices=["server", "client"])
    arguments.add_argument("index")
    arguments.add_argument("--expect", default="")
    arguments = arguments.parse_args()
    try:
        with open(arguments.index) as file:
            cases = cases_of(json.load(file))
    except OSError:
        sys.exit(f"{arguments.engine} against the {arguments.side}: no report")

    sections = collections.defaultdict(collections.Counter)
    failures = []
    for number, result in cases:
        section = sections[int(number.split(".")[0])]
        judged = verdict(result)
        section["cases"] += 1
        section["seconds"] += (result.get("duration") or 0) / 1000
        section[judged if judged in FINE else "FAILED"] += 1
        if judged not in FINE:
            failures.append(f"FAIL {number}: {judged} (the {arguments.side} closed with {result.get('remoteCloseCode')})")

    row = "{:>3}  {:<20} {:>5} {:>5} {:>5} {:>6} {:>8}"
    print(row.format("", f"{arguments.engine}, {arguments.side}", "cases", "ok", "info", "failed", "seconds"))
    for number, counts in sorted(sections.items()):
        columns = counts["cases"], counts["OK"], counts["INFORMATIONAL"], counts["FAILED"]
        print(row.format(number, SECTIONS.get(number, "?"), *columns, f"{counts['seconds']:.1f}"))
    for expected in arguments.expect.split():
        section, count = map(int, expected.split(":"))
        if sections[section]["cases"] != count:
            failures.append(f"FAIL section {section}: {sections[section]['cases']} of {count} cases ran")
    if not cases:
        failures.append("FAIL: no case ran")
    print("\n".join(failures) or f"{arguments.engine} against the {arguments.side}: all {len(cases)} cases are as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
