"""All verbs, in the order in which `unfreeze --help` lists them."""

from unfreeze.cli import check, plan, run, train, compare, show, predict, evaluate, export, serve, views, eject, cache  # noqa: F401, I001
