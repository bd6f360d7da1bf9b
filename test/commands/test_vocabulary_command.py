# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad vocabulary`: its output and its exit codes (needs onnxruntime, no ROS 2)."""

import json
import os
import subprocess
import sys

import pytest

from vl4ad_ros.cli import main
from vl4ad_ros.prompts import reader as vocabularies

WIDTH = 99


@pytest.fixture
def vocabulary(capsys):
    """Return a function that runs the verb: exit code, lines of stdout, stderr."""
    def run(*arguments):
        code = main(['vocabulary', *map(str, arguments)])
        out, err = capsys.readouterr()
        # The folders of tests can have long names.
        short = out.replace(os.path.dirname(str(arguments[1])), '') if len(arguments) > 1 else out
        assert max(map(len, short.splitlines()), default=0) <= WIDTH
        return code, out.splitlines(), err
    return run


def test_show_alone_lists_every_vocabulary_with_its_classes(vocabulary):
    code, lines, _ = vocabulary('show')
    assert code == 0 and [line.split()[0] for line in lines[1:]] == [*vocabularies.names()]
    rows = {line.split()[0]: line.split()[1:3] for line in lines}
    assert rows['cityscapes'] == ['19', '-'] and rows['animals'][0] == '-'
    assert rows['coco_panoptic'] == ['133', '-']


@pytest.mark.parametrize('name', vocabularies.names())
def test_show_names_every_class_and_concept(vocabulary, name):
    code, lines, _ = vocabulary('show', name)
    text = ' '.join(' '.join(lines).split())
    words = vocabularies.open_list(name)
    assert code == 0
    for c in (words.known or ()) + (words.anomaly or ()):
        assert any(line.startswith(f'{c.name} ') for line in lines)
        assert ', '.join(c.concepts) in text


def test_show_counts_tokens_and_capacity(vocabulary, mock_bundle, tmp_path):
    # 'a photo of a {}.' is 5 tokens and a full stop, with the start and the end mark; the mock
    # bundle spells words that it does not know, 'zig' with 3 letters.
    file = tmp_path / 'f.yaml'
    file.write_text("known: [road, 'thing: cow, zig, road sign']\nanomaly: [dog]\n")
    code, lines, _ = vocabulary('show', file, '--bundle', mock_bundle)
    assert code == 0 and lines[1] == (
        '2 known classes (4 concepts), 1 anomaly classes (1 concepts)')
    assert lines[2] == (
        "bundle 'mock': 3 of 32 classes, 5 of 64 concepts, 10 of 24 tokens per sentence")
    rows = dict(line.split()[:2] for line in lines[3:] if line)
    assert (rows['road'], rows['thing'], rows['dog']) == ('8', '10', '8')


def test_show_says_that_a_bundle_is_too_small(vocabulary, mock_bundle):
    code, lines, _ = vocabulary('show', 'mapillary', '--bundle', mock_bundle)
    assert code == 0 and lines[2].startswith("bundle 'mock' (too small): 124 of 32 classes")


def test_check_finds_the_pair_that_is_alike(vocabulary, mock_bundle, tmp_path):
    """In the mock bundle 'truck' is orange, and 'caravan' has nearly the same colour."""
    file = tmp_path / 'f.yaml'
    file.write_text("known: [road, 'vehicle: car, truck']\nanomaly: [dog, 'camper: caravan']\n")
    code, lines, _ = vocabulary('check', file, '--bundle', mock_bundle, '--pairs', 2)
    assert code == 0 and lines[0] == f"bundle 'mock' accepts {file}"
    assert "text tower of 'mock'" in lines[3]
    assert lines[4] == '(its masks were trained with 2 of these 5 concepts)'
    first = lines[lines.index(next(x for x in lines if x.startswith('cosine'))) + 1]
    assert first.split('  ')[1:] == ['truck (vehicle)', 'caravan (camper)']
    assert 0.7 < float(first.split()[0]) < 0.8
    assert len(lines) == 9


def test_check_asks_the_shipped_tower(vocabulary):
    code, lines, _ = vocabulary('check')
    assert code == 0 and lines[0] == "bundle 'street' accepts cityscapes_merged with everything"
    start = lines.index(next(x for x in lines if x.startswith('cosine'))) + 1
    cosines = [float(line.split()[0]) for line in lines[start:-1]]
    assert len(cosines) == 10 and cosines == sorted(cosines, reverse=True)


def test_an_anomaly_list_is_checked_against_the_default_known_words(vocabulary):
    assert vocabulary('check', 'animals')[1][0].endswith(' cityscapes_merged with animals')
    assert vocabulary('check', 'cityscapes', '--anomaly', 'animals')[1][0].endswith(
        ' cityscapes with animals')


def test_check_without_anomaly_words_has_nothing_to_compare(vocabulary, tmp_path):
    (tmp_path / 'f.yaml').write_text('known: [road]\nanomaly: []\n')
    code, lines, _ = vocabulary('check', tmp_path / 'f.yaml')
    assert code == 0 and lines[-1] == (
        'the vocabulary has no anomaly words, so there is nothing to compare')


def test_check_warns_of_words_in_unknown_scripts(vocabulary, mock_bundle, tmp_path):
    file = tmp_path / 'f.yaml'
    file.write_text("known: ['道路', '汽车', sky]\nanomaly: ['牛', 'дом: house, дом']\n")
    code, lines, _ = vocabulary('check', file)
    text = ' '.join(lines)
    assert code == 0
    assert ('warning: the text model knows Latin script only, not Han, and so does not know '
            "'道路', '汽车', '牛'; write them in English") in text
    assert "not Cyrillic, and so does not know 'дом'; write them in English" in text
    file.write_text('known: [road]\nanomaly: [cow]\n')
    assert 'warning' not in ' '.join(vocabulary('check', file)[1])


def test_check_asks_the_bundle_which_scripts_it_knows(vocabulary, mock_bundle, tmp_path):
    from mock_bundle import write_mock_bundle
    text = json.loads((mock_bundle / 'manifest.json').read_text())['text']
    bundle = write_mock_bundle(tmp_path / 'other', text={**text, 'scripts': ['Latin', 'Han']})
    file = tmp_path / 'f.yaml'
    file.write_text("known: ['道路']\nanomaly: ['дом']\n")
    text = ' '.join(vocabulary('check', file, '--bundle', bundle)[1])
    assert 'knows Latin and Han script only, not Cyrillic' in text and 'not Han' not in text


@pytest.mark.parametrize('environment', [
    {'LC_ALL': 'C'}, {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'},
    {'PYTHONIOENCODING': 'ascii'}, {'LC_ALL': 'POSIX', 'HOME': ''}])
def test_odd_words_and_paths_are_printed_in_every_locale(tmp_path, environment):
    name = os.fsdecode(b'\xff\xe9.yaml')
    (tmp_path / name).write_text("known: ['道路']\nanomaly: [Kühe]\n", encoding='utf-8')
    for file, code, said in ((name, 0, '1 known classes'), ('none' + name, 1, 'cannot be read'),
                             ('~nouser/道路.yaml', 1, 'is not the path of a file')):
        done = subprocess.run(
            [sys.executable, '-m', 'vl4ad_ros.cli', 'vocabulary', 'show', file], cwd=tmp_path,
            capture_output=True, env={**os.environ, **environment}, timeout=60)
        assert done.returncode == code
        assert said in (done.stderr if code else done.stdout).decode(errors='replace')
        assert done.stderr.count(b'\n') == code and b'codec' not in done.stderr


@pytest.mark.parametrize('arguments, reason', [
    (['mapillary'], "bundle 'street' takes at most 96 classes"),
    (['nothing'], "no vocabulary 'nothing'; expected one of animals"),
    (['cityscapes', '--anomaly', 'mapillary'], "'mapillary' has no anomaly: list"),
    (['coco_panoptic', '--anomaly', 'animals'],
     "vocabulary 'animals', line 10 'cow: cow, cows, cattle': class 'cow' is also"),
    (['cityscapes', '--bundle', 'nowhere'], "no bundle at 'nowhere'"),
    (['~nouser/x.yaml'], "'~nouser/x.yaml' is not the path of a file"),
    (['a\0\ud800.yaml'], r"'a\x00\ud800.yaml' is not the path of a file"),
    (['/dev/zero.yaml'], "'/dev/zero.yaml' cannot be read"),
])
def test_check_fails_with_the_reason(vocabulary, arguments, reason):
    code, lines, err = vocabulary('check', *arguments)
    assert code == 1 and not lines and err.startswith('vl4ad: error: ') and reason in err
    assert err.count('\n') == 1
