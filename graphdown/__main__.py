"""The process of the `graphdown` command, also as `python -m graphdown`."""

import signal


def main() -> None:
    """Run the command line; SIGINT before it is there ends the process without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from graphdown.cli import main as command

    command()


if __name__ == "__main__":
    main()
