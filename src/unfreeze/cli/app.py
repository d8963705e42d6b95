"""The command line's frame: options that every verb knows, exit codes, and how errors are shown."""

import errno
import functools
import inspect
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

import unfreeze
from unfreeze.backend import expect_command, set_threads
from unfreeze.cli.screen import screen
from unfreeze.devices import leave_together
from unfreeze.errors import UnfreezeError
from unfreeze.text import error_in_a_line

EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 130, 143
GRACE = 1.5
"""Seconds after a signal until the process ends whatever it is doing; files are whole or not there at any moment."""

KEPT = (
    "Experiments that were finished are kept, and of one in training the epochs up to half a minute ago; the same call "
    "goes on from there."
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Transfer learning on photos: which network to ship, how far to unfreeze it, and how sure one can be.",
    epilog="Start with `unfreeze run demo`, or with `unfreeze train FOLDER` on your own photos.",
)


class Terminated(BaseException):
    """SIGTERM came."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(unfreeze.__version__)
        raise typer.Exit


_OPTIONS: dict[str, Any] = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, the rest on stderr.")],
    "quiet": Annotated[bool, typer.Option("--quiet", help="Show no progress.")],
    "threads": Annotated[int | None, typer.Option("--threads", min=1, metavar="N", help="Use N threads.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
    "version": Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ],
}


def verb(example: str, resumable: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of `unfreeze`, with the options that all commands have.

    Args:
        example: a call, shown at the end of the command's help.
        resumable: whether the same call goes on after an interrupt.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**arguments: Any) -> None:
            _use_options(arguments)
            screen.kept = KEPT if resumable else ""
            with _errors_shown(screen.kept), screen.progress():
                function(**arguments)

        _add_options(command, function)
        return app.command(epilog=f"Example: {example}")(command)

    return register


def _frame(**arguments: Any) -> None:
    screen.json = screen.quiet = screen.debug = False
    _use_options(arguments)


def _use_options(arguments: dict[str, Any]) -> None:
    """Take the common options out of a command's arguments; given before the verb or behind it, they count."""
    arguments.pop("version")
    screen.json |= arguments.pop("as_json")
    screen.quiet |= arguments.pop("quiet")
    screen.debug |= arguments.pop("debug")
    if threads := arguments.pop("threads"):
        set_threads(threads)


def _add_options(command: Callable[..., None], function: Callable[..., None] | None = None) -> None:
    own = list(inspect.signature(function).parameters.values()) if function else []
    common = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name == "threads" else False,
            annotation=option,
        )
        for name, option in _OPTIONS.items()
    ]
    command.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *common]}


_add_options(_frame)
app.callback()(_frame)


@contextmanager
def _errors_shown(when_interrupted: str) -> Iterator[None]:
    """Turn what a user can do something about into one message and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _stop(EXIT_INTERRUPTED, f"interrupted. {when_interrupted}")
    except Terminated:
        _stop(EXIT_TERMINATED, f"terminated. {when_interrupted}")
    except (BrokenPipeError, typer.BadParameter):
        raise  # Typer ends without a word where who read the output has gone, and explains wrong parameters itself
    except Exception as error:
        if screen.debug:
            traceback.print_exc()
        _stop(EXIT_FAILED, _in_words(error))


def _in_words(error: Exception) -> str:
    if isinstance(error, UnfreezeError):
        return str(error)
    if isinstance(error, OSError) and (error.errno == errno.ENOSPC or "No space left" in str(error)):
        return (
            f"the disk is full: {error_in_a_line(error)}. `unfreeze plan` says how much a recipe writes. Make room and "
            "make the same call again; what is finished is kept."
        )
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "OOM when" in str(error):
        return (
            "there is not enough memory. Take smaller batches (--set data.batch_size=16), smaller photos "
            "(--set data.image_size=160) or a smaller backbone, and make the same call again; what is finished is kept."
        )
    if isinstance(error, OSError):
        return f"{error}. Put that right and make the same call again; --debug shows where it happened."
    return (
        f"something went wrong that should not: {type(error).__name__}: {error}\n"
        "Call it again with --debug to see where, and please report that."
    )


def _stop(code: int, message: str) -> None:
    print(f"unfreeze: {message.strip()}", file=sys.stderr, flush=True)
    screen.is_over = True
    sys.exit(code)


def print_json(content: Any) -> None:
    """Print the one JSON document of a command, in ASCII, so that no terminal's encoding can spoil it."""
    print(json.dumps(content, indent=1), file=screen.stdout)


def main() -> None:
    """Run the command line."""
    import unfreeze.cli.verbs  # noqa: F401 (registers them)

    expect_command()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of classes and files may have any letters
    try:
        with _errors_shown(""):  # of --help and --version, which no command shows
            app(prog_name="unfreeze")
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop at once; where a library doesn't give control back in time, the process ends all the same."""
    is_ctrl_c = number == signal.SIGINT
    code, what = (EXIT_INTERRUPTED, "interrupted") if is_ctrl_c else (EXIT_TERMINATED, "terminated")

    def give_up() -> None:
        if not screen.is_over:
            print(f"unfreeze: {what}. {screen.kept}".strip(), file=sys.stderr, flush=True)
        _end(code)

    timer = threading.Timer(GRACE, give_up)
    timer.daemon = True
    timer.start()
    sys.unraisablehook = lambda _: None  # Python would print what is raised in a finalizer, and drop it
    raise KeyboardInterrupt if is_ctrl_c else Terminated


def _end(code: int) -> NoReturn:
    """End the process at once: threads that still compute aren't waited for, nor are libraries taken apart."""
    if not code:
        leave_together()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            with suppress(OSError, ValueError):
                print(f"unfreeze: the output could not be written: {error}", file=sys.stderr, flush=True)
            code = code or EXIT_FAILED
    os._exit(code)
