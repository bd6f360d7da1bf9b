# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verbs of the `vl4ad` command, one module each; `Verb` is what every verb module defines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """
    One subcommand of `vl4ad`, as the entry point group `vl4ad_ros.verbs` refers to it.

    :ivar add_arguments: adds the arguments of the verb to its parser.
    :ivar run: executes the verb; returns the exit code, where None stands for 0.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
