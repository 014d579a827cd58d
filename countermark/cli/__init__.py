"""The command line: each command is a thin shell over a public function, in a file by what it is about.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by moderation, 4 ``scan --fail-on`` found, 130 interrupted.
Errors are one line on stderr; with ``--json`` also ``{"error": {"type", "message"}}`` on stdout.
"""

from __future__ import annotations

import os
import sys

import typer

from countermark.cli import developing, generating, keeping, moderating, scanning
from countermark.cli.shell import leave
from countermark.errors import CountermarkError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Generate moderated, watermarked and signed video; scan files for it; moderate prompts.",
)
app.command()(generating.generate)
app.command()(generating.seal)
app.command()(scanning.scan)
app.command()(moderating.moderate)
app.add_typer(keeping.keys_app, name="keys")
app.command(context_settings=developing.PASS_ON)(developing.bench)
app.command(context_settings=developing.PASS_ON)(developing.train)

INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def main() -> None:
    """Entry point of ``countermark``: runs a command and turns what goes wrong into one line and an exit code.

    Python's development mode (``PYTHONDEVMODE=1``) shows the traceback of an error that nobody foresaw.
    """
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper here; file names need not be text
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:  # newer typers turn an interrupt into its exit code themselves
            raise KeyboardInterrupt
        sys.exit(code)
    except CountermarkError as error:
        leave(error)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own errors; it does not export their base
            if sys.flags.dev_mode:
                raise
            leave(CountermarkError(f"unexpected {type(error).__name__}: {error}"))
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        leave(UsageError(error.format_message()))
