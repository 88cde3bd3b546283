"""The program: `pylon-to-sqlite`, and `python -m pylon_to_sqlite`."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it in a line even while it is still being loaded, and a
    signal that comes once it has ended changes nothing."""
    ended: SystemExit | None = None
    try:
        _run()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    except SystemExit as end:
        ended = end
    import os
    import signal

    from pylon_to_sqlite.endings import MORE_TO_DO

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    if ended and ended.code != MORE_TO_DO:
        raise ended
    # Where an interrupt came in code that was made of text, as that of dataclasses is, Python would
    # end as if nobody had caught it.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(MORE_TO_DO)


def _run() -> None:
    # In here, for all that is loaded takes its time.
    import os
    import signal

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        # At once: in the middle of an import an exception may become another, or be forgotten.
        signal.signal(signal.SIGINT, lambda *_: (os.write(2, b"Stopped.\n"), os._exit(5)))
    from pylon_to_sqlite.cli import cli

    signal.signal(signal.SIGINT, before)
    cli(prog_name="pylon-to-sqlite")


if __name__ == "__main__":
    main()
