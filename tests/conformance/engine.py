"""Starts an engine of Autobahn's cases, with a change to those of compression (sections 12 and 13).

PYTHON engine.py kosoku|wstest LIMIT ARGUMENT...

Runs the engine's own program with the arguments. PYTHON is the one that the engine is installed for: 2.7 for the original suite, so
this is written for both. Each of these cases sends a thousand messages of one size and waits for each to come back, which is most of
an hour for all. LIMIT is what a case sends at most, in bytes, though never less than a few messages; 0 leaves the cases as they are.

And a fault of kosoku is mended. It gives a case a message that came compressed as `bytes`, and one that came as it is as `str`, which
these cases cannot hash ("Strings must be encoded before hashing"). But each message may be sent either way (RFC 7692 6), and small ones
are, and those that compression would not make smaller. The original suite, whose `str` is bytes, needs no mending.
"""

import sys

# Messages that a case sends in any case: enough for a window to be referred to, or to be forgotten.
LEAST = 8


def shorten(cases, limit):
    for case in cases:
        if limit:
            case.COUNT = min(case.COUNT, max(LEAST, limit // case.LEN))


def mend(cases):
    for case in cases:
        case.onMessage = takes_bytes(case.onMessage)


def takes_bytes(on_message):
    def encoded(self, message, binary):
        # As kosoku decoded it: text as what it says, anything else byte by byte.
        if isinstance(message, str):
            message = message.encode("latin-1" if binary else "utf-8")
        on_message(self, message, binary)

    return encoded


def main():
    engine, limit = sys.argv[1], int(sys.argv[2])
    sys.argv[:3] = [engine]
    if engine == "kosoku":
        import kosoku._cli
        import kosoku.cases  # After which its cases can be imported by their own names.
        import case12_x_x as deflate

        run = kosoku._cli.main
    else:
        from autobahntestsuite.case import case12_x_x as deflate
        from autobahntestsuite.wstest import run

    cases = deflate.Case12_X_X + deflate.Case13_X_X
    shorten(cases, limit)
    if engine == "kosoku":
        mend(cases)
    return run()


sys.exit(main())
