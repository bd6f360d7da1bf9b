# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizer, optimisation loop, targets and calibration (needs torch and tokenizers)."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from vl4ad_ros.bundle import Bundle, BundleError  # noqa: E402
from vl4ad_ros.bundle.tokenizer import Tokenizer  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.classification import class_probability  # noqa: E402
from vl4ad_workshop.network.vl4ad import QueryPredictions, Vl4ad  # noqa: E402
from vl4ad_workshop.scenes.made_up import MADE_UP  # noqa: E402
from vl4ad_workshop.training.drawn import loop, pipeline  # noqa: E402
from vl4ad_workshop.training.drawn.decoder_stage import (  # noqa: E402
    embed_targets, FeatureSet, likeness_loss, segment_targets)
from vl4ad_workshop.training.drawn.gate import Accuracy, GateError, require  # noqa: E402
from vl4ad_workshop.training.drawn.pictures import PictureSet  # noqa: E402
from vl4ad_workshop.training.drawn.pipeline import take_image_tower  # noqa: E402
from vl4ad_workshop.training.drawn.recipe import RECIPES, StageRecipe  # noqa: E402
from vl4ad_workshop.training.drawn.segments import (  # noqa: E402
    cut, SegmentedPictures, SegmentList)
from vl4ad_workshop.training.drawn.selection import (  # noqa: E402
    _probability, Setting, soften, tasks)
from vl4ad_workshop.training.drawn.tokens import special_ids, train_tokenizer  # noqa: E402
from vl4ad_workshop.training.losses import NAMELESS  # noqa: E402
from vl4ad_workshop.training.score_curve import knots  # noqa: E402


@pytest.fixture(scope='module')
def tokenizer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('tokens') / 'tokenizer.json'
    train_tokenizer(['a photo of a caravan', 'a photo of a cow'] * 5, 1024, path)
    return path


def test_any_word_can_be_written(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file, 24)
    sot, eot = special_ids(tokenizer_file)
    known, unseen = tokenizer(['a caravan', 'Zürich 3']), tokenizer(['a xylophone', '滑板'])
    for rows in (known, unseen):
        assert (rows[:, 0] == sot).all() and (rows.max(1) == eot).all()
    assert tokenizer.count('caravan') == 3
    assert len({tuple(r) for r in np.vstack([known, unseen])}) == 4
    assert tokenizer.count('zyx') == 2 + 3  # one token a letter, where nothing was learnt


def test_a_vocabulary_too_small_is_refused(tmp_path):
    with pytest.raises(ValueError, match='expected more than 514'):
        train_tokenizer(['a'], 500, tmp_path / 't.json')


def test_resumed_training_equals_uninterrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, 'SAVE_EVERY', 3)
    stage = StageRecipe(seed=0, groups=(), pictures=0, steps=8, learning_rate=0.1, warmup=2)

    def train(path, stop_at=None):
        torch.manual_seed(5)
        module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))

        def loss_at(step, part):
            if step == stop_at:
                raise KeyboardInterrupt
            rng = np.random.default_rng([step, part])
            x = torch.from_numpy(rng.normal(size=(4, 3))).float()
            return {'loss': module(x).square().mean()}

        loop.optimise({'m': module}, loss_at, stage, path)
        return module.state_dict()

    whole = train(tmp_path / 'whole.pt')
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / 'cut.pt', stop_at=5)
    resumed = train(tmp_path / 'cut.pt')
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    again = train(tmp_path / 'whole.pt', stop_at=0)  # finished: nothing is run again
    assert all(torch.equal(whole[k], again[k]) for k in whole)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    for file, done in (('whole.pt', True), ('none.pt', False)):
        assert loop.load_finished({'m': module}, stage, tmp_path / file) is done
    assert all(torch.equal(whole[k], v) for k, v in module.state_dict().items())
    longer = replace(stage, steps=9)
    assert not loop.load_finished({'m': module}, longer, tmp_path / 'whole.pt')


def test_a_step_takes_the_mean_gradient_of_the_parts(tmp_path):
    stage = StageRecipe(seed=0, groups=(), pictures=0, steps=1, learning_rate=0.0, clip_norm=1e9)
    weight = torch.nn.Parameter(torch.zeros(1))
    loop.optimise({'m': torch.nn.ParameterList([weight])},
                  lambda step, part: {'a': weight.sum() * (1 + part), 'b': weight.sum()},
                  stage, tmp_path / 'c.pt')
    assert weight.grad.item() == pytest.approx((1 + 2) / 2 + 1)


def test_learning_rate_rises_then_decays_to_zero():
    stage = StageRecipe(seed=0, groups=(), pictures=0, steps=100, learning_rate=1.0, warmup=10)
    at = [loop.learning_rate_factor(stage, s) for s in (0, 50, 100)]
    assert at == pytest.approx([0.1, 0.5, 0.0])


def test_targets_are_shares_of_cells():
    segments = np.zeros((1, 8, 8), np.int16)
    segments[0, :2, :4] = 1
    segments[0, 4:, 4:] = -1
    pictures = PictureSet(np.zeros((1, 8, 8, 3), np.uint8), segments, [['road', 'car']])
    got = segment_targets(pictures, np.array([0]), ['car', 'road'], 5, torch.device('cpu'))
    assert got.kind.tolist() == [1, 0] and got.picture.tolist() == [0, 0]  # largest first
    assert got.masks.tolist() == [[0.5, 1, 1, 0], [0.5, 0, 0, 0]]
    assert got.valid.tolist() == [[1, 1, 1, 0]]
    assert segment_targets(pictures, np.array([0]), ['car', 'road'], 1,
                           torch.device('cpu')).kind.tolist() == [1]


def test_segments_of_some_kinds_are_one_target():
    segments = np.zeros((1, 8, 8), np.int16)
    segments[0, :4, :4], segments[0, 4:, 4:], segments[0, :4, 4:] = 1, 2, 3
    pictures = PictureSet(np.zeros((1, 8, 8, 3), np.uint8), segments,
                          [['road', 'pole', 'pole', 'car']])
    args = pictures, np.array([0]), ['car', 'pole', 'road'], 5, torch.device('cpu')
    got = segment_targets(*args, one_mask=('pole', 'person'))
    assert dict(zip(got.kind.tolist(), got.masks.tolist())) == {
        0: [0, 1, 0, 0], 1: [1, 0, 0, 1], 2: [0, 0, 1, 0]}
    assert segment_targets(*args).kind.tolist().count(1) == 2


def test_made_up_things_are_targets_without_a_name():
    segments = np.zeros((1, 8, 8), np.int16)
    segments[0, :4, :4], segments[0, 4:, 4:] = 1, 2
    pictures = PictureSet(np.zeros((1, 8, 8, 3), np.uint8), segments,
                          [['road', MADE_UP, MADE_UP]])
    got = segment_targets(pictures, np.array([0]), ['road'], 5, torch.device('cpu'))
    assert got.kind.tolist() == [0, NAMELESS, NAMELESS]


def test_tasks_are_groups_of_anomalies_and_each_known_kind_in_turn():
    segments = np.array([[0, 1, 2, 3, 4, -1]], np.int16)
    kinds = ['road', 'cow', 'sheep', 'car', 'tractor']
    found = [{t.name: (t.without, t.labels.tolist()[0]) for t in tasks(segments, kinds, i)}
             for i in (0, 1)]
    _ = 255
    assert found == [{'masks': (None, [0, 1, _, 0, _, _]), 'words': (None, [0, _, 1, 0, _, _]),
                      'near-OOD': (None, [0, _, _, 0, 1, _]), 'left out': left}
                     for left in (('car', [0, _, _, 1, _, _]), ('road', [1, _, _, 0, _, _]))]


def test_settings_are_tried_together_as_each_alone():
    torch.manual_seed(0)
    answer = QueryPredictions(
        torch.zeros(1, 3, 2, 2), torch.randn(1, 3, 5), torch.randn(1, 3, 1),
        torch.randn(1, 3, 5), torch.zeros(1, 3, 5))
    settings = [Setting(0.2, 0.8, 1.0, True), Setting(0.0, 1.0, 0.5, True)]
    kept, unseen = [0, 1, 3, 4], torch.tensor([False, True, False, True])
    for setting, row in zip(settings, _probability(answer, kept, unseen, settings)):
        alone = class_probability(
            answer.in_vocabulary[..., kept] / setting.softer,
            answer.out_vocabulary[..., kept] / setting.softer, answer.void / setting.softer,
            torch.tensor([setting.alpha, setting.beta] * 2))
        torch.testing.assert_close(row, alone[0])


def two_halves() -> PictureSet:
    segments = np.zeros((1, 192, 320), np.int16)
    segments[:, :, 160:] = 1
    segments[0, :5, :5] = 2  # too small to be listed
    return PictureSet(np.zeros((1, 192, 320, 3), np.uint8), segments, [['road', 'car', 'cow']])


def test_regions_have_their_kind_and_area():
    listed = SegmentList.of(two_halves(), ['car', 'road', 'cow'])
    assert listed.kind.tolist() == [1, 0] and listed.area.tolist() == [192 * 160 - 25, 192 * 160]
    assert listed.box.tolist() == [[0, 0, 160, 192], [160, 0, 320, 192]]
    assert listed.whole.tolist() == [False, True]


def test_a_slender_thing_is_cut_where_it_is():
    segments = np.zeros((1, 192, 320), np.int16)
    segments[:, :, 150:160] = 1
    images = np.repeat(np.where(segments == 1, 0, 200)[..., None], 3, -1).astype(np.uint8)
    listed = SegmentList.of(PictureSet(images, segments, [['road', 'pole']]), ['road', 'pole'])
    assert not listed.whole.any()
    crop = cut(PictureSet(images, segments, [['road', 'pole']]), listed, 1, 64,
               np.random.default_rng(0))
    # A square around it would show it on a twentieth.
    assert (crop < 100).mean() > 0.1


def test_features_are_pooled_under_true_masks_alike_in_both_stages():
    network = Vl4ad(RECIPES['tiny'].network).eval()
    pictures = two_halves()
    batch = SegmentedPictures.of(pictures, [0], ['car', 'road', 'cow'])
    levels = tuple(torch.rand(1, c, 192 // s, 320 // s)
                   for c, s in zip(network.config.feature_channels, (4, 8, 16, 16)))
    targets = segment_targets(pictures, np.array([0]), ['car', 'road', 'cow'], 5,
                              torch.device('cpu'))
    with torch.no_grad():
        pooled = batch.embed(network, levels[-1])
    assert batch.kind.tolist() == [1, 0]
    # The largest first; the small cow is a target, though no region.
    assert targets.kind.tolist() == [0, 1, 2]
    of_targets = embed_targets(network, levels, targets)
    torch.testing.assert_close(of_targets[:2].flip(0), pooled)
    assert likeness_loss(of_targets, of_targets).item() == pytest.approx(0, abs=1e-6)


def test_features_are_kept_for_the_same_pictures_only(tmp_path):
    network = Vl4ad(RECIPES['tiny'].network).eval()
    before = two_halves()

    def stored(pictures):
        return FeatureSet.compute(network, pictures, tmp_path, torch.device('cpu')).levels[0]

    features = np.array(stored(before))
    marked = (tmp_path / 'features.json').stat().st_mtime_ns
    assert np.array_equal(stored(before), features)
    assert (tmp_path / 'features.json').stat().st_mtime_ns == marked
    other = replace(before, images=before.images + 100, kinds=[['road', 'car', 'dog']])
    assert not np.array_equal(stored(other), features)


def test_an_image_tower_is_taken_whole_or_refused():
    recipe = RECIPES['tiny']
    tiny = Bundle.open('tiny')
    network = Vl4ad(recipe.network)
    take_image_tower(network, tiny)
    source, _ = load_network(tiny)
    for name, value in source.backbone.clip_model.visual.state_dict().items():
        assert torch.equal(network.backbone.clip_model.visual.state_dict()[name], value), name
    other = Vl4ad(replace(recipe.network, clip={**recipe.network.clip, 'vision_cfg': {
        **recipe.network.clip['vision_cfg'], 'image_size': 96}}))
    with pytest.raises(BundleError, match='of another form; give a bundle'):
        take_image_tower(other, tiny)


def test_softening_is_relative_and_starts_at_the_cap():
    network = Vl4ad(RECIPES['tiny'].network)
    network.sem_seg_head.predictor.logit_scale.data.fill_(np.log(1000.0))
    before = network.backbone.logit_scale.exp().item()
    soften(network, 2.0)
    assert network.sem_seg_head.predictor.logit_scale.exp().item() == pytest.approx(50)
    assert network.backbone.logit_scale.exp().item() == pytest.approx(before / 2)


def test_no_decoder_is_trained_on_words_that_clip_does_not_know():
    recipe = RECIPES['tiny']

    def passes(crops, dense):
        require(Accuracy(crops, dense, 0.0, 0.0), recipe.gate_crops, recipe.gate_dense)
    passes(recipe.gate_crops, recipe.gate_dense)
    for crops, dense, said in ((0.949, 0.96, r'top-1 of crops 0\.9490 \(at least 0\.95\)\. Train'),
                               (0.96, 0.899, r'top-1 of dense 0\.8990 \(at least 0\.9\)\. Train'),
                               (0.5, 0.4, r'crops 0\.5000 .* and dense 0\.4000 '),
                               (float('nan'), 0.96, 'crops nan')):
        with pytest.raises(GateError, match=said):
            passes(crops, dense)


def test_the_gate_stands_before_the_decoder(tmp_path, monkeypatch):
    trained = []
    for stage in ('train_image_tower', 'train_text_tower', 'train_decoder'):
        monkeypatch.setattr(pipeline, stage, lambda *_, stage=stage: trained.append(stage))
    monkeypatch.setattr(pipeline, 'VALIDATION_PICTURES', 4)
    with pytest.raises(GateError):
        pipeline.train_drawn('tiny', tmp_path, tmp_path / 'bundle', torch.device('cpu'))
    assert trained == ['train_image_tower', 'train_text_tower']


def test_the_shipped_model_has_passed_the_gate():
    found, recipe = Bundle.open('tiny').provenance['validation']['clip'], RECIPES['tiny']
    require(Accuracy(**found), recipe.gate_crops, recipe.gate_dense)


def test_knots_rise_whatever_validation_found():
    for normal, top, threshold in ((-0.95, -0.1, -0.4), (-0.3, -0.5, -0.4)):
        u = knots(normal, top, threshold)['u']
        assert u[0] < u[1] == threshold < u[2]


def test_the_default_prompts_fit_the_recipe():
    from vl4ad_workshop.scenes.kinds import kinds_in
    from vl4ad_workshop.training.drawn.pipeline import default_vocabulary
    recipe = RECIPES['tiny']
    vocabulary = default_vocabulary(kinds_in('known'), kinds_in('masks', 'words'))
    assert len(vocabulary.classes) <= recipe.capacity_classes
    assert len(vocabulary.concepts) <= recipe.capacity_concepts
    # What neither stage has seen must not be prompted for by default.
    assert not {w for k in kinds_in('unseen') for w in k.words} & set(vocabulary.concepts)
