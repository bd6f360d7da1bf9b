# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verbs of the `vl4ad` command, one module each; every module defines a `Verb`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """
    One subcommand of `vl4ad`; other projects register theirs in the group `vl4ad_ros.verbs`.

    :ivar add_arguments: adds the arguments of the verb to the parser that it is given.
    :ivar run: executes the verb with the parsed arguments and returns the exit code; None stands
        for 0. An OSError, ValueError or RuntimeError that it raises is printed as one message.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
