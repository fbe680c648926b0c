"""What the checks look at: our own C files, and their text without comments and literals."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
_TOKENS = re.compile(r'//(?:[^\n\\]|\\.)*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def c_files(*folders):
    """Every .c and .h file below the given folders of the project, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.[ch]"))


def code_only(text):
    """@text with comments and literals blanked, line for line."""
    def blank(match):
        token = match.group()
        filler = " " if token.startswith("/") else token[0] * 2
        return filler + "\n" * token.count("\n")
    return _TOKENS.sub(blank, text)


def report(findings):
    """Prints findings ("file:line: text"); returns the exit code."""
    count = 0
    for count, finding in enumerate(findings, 1):
        print(finding)
    return 1 if count else 0
