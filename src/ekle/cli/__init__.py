"""The command line."""

from ekle.cli.app import main

__all__ = ["main"]
