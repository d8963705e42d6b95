"""The command `unfreeze`: one module a verb, each as thin as it can be."""

from unfreeze.cli.app import main

__all__ = ["main"]
