"""Joins the tests of several build directories into one, so that one run of ctest tells of all.

    join_ctest.py DIRECTORY NAME:BUILD[:REGEX]...

Writes DIRECTORY/CTestTestfile.cmake with each test of BUILD whose name fits REGEX, as NAME/test.
"""

import json
import os
import re
import subprocess
import sys


def quoted(text):
    """A bracket argument of CMake, in which nothing is special."""
    return "[====[" + text + "]====]"


def tests_of(build):
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                           check=True, capture_output=True, text=True).stdout
    return json.loads(shown)["tests"]


def lines(name, build, pattern):
    joined = 0
    for test in tests_of(build):
        if not re.search(pattern, test["name"]):
            continue
        if "command" not in test:
            sys.exit(f"join_ctest.py: {build}: the program of {test['name']} is not built")
        joined += 1
        joined_name = quoted(f"{name}/{test['name']}")
        yield f"add_test({joined_name} {' '.join(map(quoted, test['command']))})"
        properties = {"LABELS": name}
        for prop in test.get("properties", []):
            value = prop["value"]
            if isinstance(value, list):
                value = ";".join(map(str, value))
            elif isinstance(value, bool):
                value = "ON" if value else "OFF"
            properties.setdefault(prop["name"], str(value))
        texts = " ".join(f"{key} {quoted(value)}" for key, value in properties.items())
        yield f"set_tests_properties({joined_name} PROPERTIES {texts})"
    if joined == 0:
        sys.exit(f"join_ctest.py: {build} has no test that fits {pattern}")


def main():
    directory, sources = sys.argv[1], sys.argv[2:]
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "CTestTestfile.cmake"), "w", encoding="utf-8") as out:
        for source in sources:
            name, build, *pattern = source.split(":", 2)
            for line in lines(name, build, pattern[0] if pattern else ""):
                print(line, file=out)


if __name__ == "__main__":
    main()
