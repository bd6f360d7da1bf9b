# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad try`: scores photos and videos and draws what is anomalous in them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
import sys

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bundle_argument, add_params_argument, node_parameters, replay_inputs, warn)
from vl4ad_ros.evaluation.picture_run import output_names, PictureRun, SHEET, summary, TABLE
from vl4ad_ros.evaluation.picture_source import find_sources, PictureError, Source
from vl4ad_ros.evaluation.video_file import VideoError, VideoFile
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import keep_apart, replaced
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('pictures', nargs='+', type=Path, metavar='PHOTO_OR_FOLDER_OR_VIDEO',
                        help='photos, videos, and folders of these; sub-folders are left out')
    parser.add_argument('--out', type=Path, default=Path('out/try'), metavar='DIR',
                        help='folder of the results; older results in it are replaced, and the '
                        'pictures must not be in it (default: %(default)s)')
    add_bundle_argument(parser)
    add_params_argument(parser)
    parser.add_argument('--known', nargs='+', action='extend', metavar='ENTRY',
                        help='what belongs in the scene: entries as in prompts.known, such as '
                        "'<cityscapes>' or 'vegetation: tree, trees'. Give the pictures first")
    parser.add_argument('--anomaly', nargs='+', action='extend', metavar='ENTRY',
                        help='what does not: entries as in prompts.anomaly, such as '
                        "'<animals>' or 'cow: cow, cows'; '' is none. Give the pictures first")
    parser.add_argument('--scores', action='store_true',
                        help='write the scores, too: PNG files of 16 bits and the size of the '
                        'picture, in which 65535 stands for 1')


def run(options: argparse.Namespace) -> int:
    """
    Process the pictures, print the table, and name those that could not be read.

    :param options: the arguments that `add_arguments` has declared.
    :returns: the exit code: 1 if some of the pictures could not be read.
    :raises PictureError: if none of the pictures could be read.
    :raises OutputError: if the results could overwrite a picture.
    """
    parameters = node_parameters(options)
    prompts = {f'prompts.{side}': given for side in ('known', 'anomaly')
               if (given := getattr(options, side)) is not None}
    settings = Settings().changed({**parameters, **prompts})
    sources, found = find_sources(options.pictures)
    keep_apart(options.out, [*options.pictures, *replay_inputs(options, parameters)])
    errors: list[ValueError] = [*found]
    if not sources:
        raise _none_was_read(errors)
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)
    with closing(detector):
        encoded = detector.encode(settings.vocabulary(detector.default_vocabulary))
        detector.warm_up(1)
        with replaced(options.out, output_names(sources, options.out)) as folder:
            results = PictureRun(detector, encoded, settings, folder, options.scores)
            errors += _process(results, sources)
            if not results.rows:
                raise _none_was_read(errors)
            notice, terms = detector.bundle.notice, detector.bundle.terms
            results.finish(
                f'model {detector.bundle.name} on {detector.backend.name}. {notice}')
    for line in summary(results.rows):
        print(line)
    print(f'  contact sheet {options.out / SHEET}\n  table         {options.out / TABLE}')
    if notice:
        print(f'  notice        {notice}')
    if terms:
        print(f'  terms         {terms}')
    for sentence in results.warnings:
        warn(sentence)
    if errors:
        print(f'vl4ad: error: {_unreadable(errors)}', file=sys.stderr)
    return 1 if errors else 0


def _process(results: PictureRun, sources: Sequence[Source]) -> list[ValueError]:
    """Process all pictures and return the errors of those that could not be read."""
    errors: list[ValueError] = []
    with tqdm(total=sum(map(_pictures_in, sources)), unit='picture', disable=None,
              leave=False) as bar:
        for source in sources:
            try:
                results.add(source, lambda: _advance(bar))
            except (PictureError, VideoError) as error:
                errors.append(error)
    return errors


def _pictures_in(source: Source) -> int:
    """Return the number of pictures for the progress bar; 1 if it is not known."""
    if source.video:
        with suppress(VideoError):
            return max(1, VideoFile(source.path).frame_count)
    return 1


def _advance(bar: tqdm) -> None:
    bar.update()


def _none_was_read(errors: Sequence[ValueError]) -> PictureError:
    return PictureError(f'there are no results: {_unreadable(errors)}')


def _unreadable(errors: Sequence[ValueError]) -> str:
    lines = ''.join(f'\n  {error}' for error in errors)
    return f'{len(errors)} of the inputs could not be read:{lines}'


VERB = Verb(add_arguments, run)
