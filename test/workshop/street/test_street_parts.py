# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the street model compute what their sources say (needs torch)."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('open_clip')

from torch.nn import functional  # noqa: E402

from vl4ad_workshop.network.classification import EMPTY_CLASS_LOGIT  # noqa: E402
from vl4ad_workshop.street.classifier import (  # noqa: E402
    CHANNELS, Classifier, Convolution, folded, STRIDES)
from vl4ad_workshop.street.conse import (  # noqa: E402
    conse, embed_with_parents, imagenet_names, imagenet_parents)
from vl4ad_workshop.street.downloads import CLASSIFIER, MINILM  # noqa: E402
from vl4ad_workshop.street.enlargement import enlarge  # noqa: E402
from vl4ad_workshop.street.ensemble import class_cosines, ensemble  # noqa: E402
from vl4ad_workshop.street.street_head import StreetHead  # noqa: E402


def unit(*shape, seed=0):
    return functional.normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_convolutions_pad_as_tensorflow():
    """With stride 2 the first of two pixels is the centre for kernel 3, as in SAME padding."""
    layer = Convolution(1, 1, 3, 2)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    layer.weight.data[0, 0, 0, 0] = 1
    image = torch.arange(16.).view(1, 1, 4, 4)
    assert layer(image)[0, 0].tolist() == [[0, 2], [8, 10]]


def test_the_classifier_has_the_maps_it_promises():
    maps = Classifier().eval().features(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES)]
    with pytest.raises(ValueError, match='65x96 pixels; both sides must be multiples of 32'):
        Classifier().features(torch.zeros(1, 3, 65, 96))


def test_folded_batch_norms_compute_the_same():
    rng = torch.Generator().manual_seed(0)
    stem = torch.nn.Conv2d(3, 32, 3, 2, bias=False)
    norm = torch.nn.BatchNorm2d(32, eps=1e-3).eval()
    for value in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        value.copy_(torch.rand(32, generator=rng) + 0.5)
    published = {**{f'_conv_stem.{k}': v for k, v in stem.state_dict().items()},
                 **{f'_bn0.{k}': v for k, v in norm.state_dict().items()}}

    class Rest(dict):
        """Gives every other convolution and norm a value."""

        def __missing__(self, name):
            return torch.ones(1, 1, 1, 1) if '_conv' in name or '_fc.w' in name else torch.ones(1)

    published = Rest(published)
    published['_fc.weight'] = torch.ones(1, 1)
    state = folded(published)
    image = torch.rand(1, 3, 9, 9, generator=rng)
    with torch.no_grad():
        expected = norm(stem(image))
        seen = functional.conv2d(image, state['stem.weight'], state['stem.bias'], 2)
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_a_folded_head_computes_the_same():
    torch.manual_seed(0)
    head = StreetHead(mean=[torch.randn(c) for c in CHANNELS],
                      std=[torch.rand(c) + 0.5 for c in CHANNELS])
    maps = [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES)]
    for _ in range(3):
        head(maps)  # lets the batch norms see something
    head.eval()
    with torch.no_grad():
        np.testing.assert_allclose(head.folded()(maps), head(maps), atol=1e-4)


def test_enlarging_is_interpolation():
    maps = torch.randn(11, 20, 5)
    expected = functional.interpolate(maps.permute(2, 0, 1)[None], (88, 160), mode='bilinear',
                                      align_corners=False)[0].permute(1, 2, 0)
    np.testing.assert_allclose(enlarge(maps, 88, 160), expected, atol=1e-5)


def test_conse_averages_the_most_likely_names():
    logits, names = torch.randn(2, 3, 50), unit(50, 16)
    values, index = logits.topk(10, -1)
    expected = functional.normalize(
        (values.softmax(-1)[..., None] * names[index]).sum(2), dim=-1)
    for row in range(2):
        for column in range(3):
            cell = logits[row:row + 1, column:column + 1]
            np.testing.assert_allclose(conse(cell, names, 10, torch.ones(1, 1))[0, 0],
                                       expected[row, column], atol=1e-5)


def test_conse_averages_over_the_cells_of_objects():
    """A cell beside an object is named like the object, not the other way round."""
    names = unit(50, 16)
    logits = torch.full((1, 3, 50), -50.0)
    logits[0, 0, 3] = logits[0, 1, 7] = logits[0, 2, 9] = 50
    seen = conse(logits, names, 1, torch.tensor([[0.0, 0.98, 0.0]]))[0]
    expected = functional.normalize(0.02 * names[3] + names[7], dim=0)
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    np.testing.assert_allclose(seen[1], functional.normalize(
        0.02 * names[3] + names[7] + 0.02 * names[9], dim=0), atol=1e-5)


def test_parents_bring_names_together():
    names, parents = imagenet_names(), imagenet_parents()
    assert len(names) == len(parents) == 1000
    ox, tabby = names.index('ox'), names.index('tabby cat')
    assert parents[ox][:2] == ['cattle', 'bovine'] and 'cat' in parents[tabby]
    assert max(map(len, parents)) == 4 and sum(not line for line in parents) < 10
    rng = np.random.default_rng(0)
    rows = {}

    def embed(words):
        for word in words:
            rows.setdefault(word, rng.standard_normal(64))
        vectors = np.stack([rows[word] for word in words])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    mixed, own = embed_with_parents(embed), embed(names)
    np.testing.assert_allclose(mixed.mean(0), own.mean(0), atol=1e-6)
    cattle = embed(['cattle'])[0]
    assert (mixed[ox] - own[ox]) @ cattle > 0.15


def test_the_best_concept_of_each_class_counts():
    rows, concepts = unit(7, 16), unit(40, 16, seed=1)
    classes = torch.from_numpy(np.random.default_rng(0).integers(-1, 9, 40))
    best, used = class_cosines(rows, concepts, classes, 12)
    cosine = rows @ concepts.t()
    for k in range(12):
        expected = (cosine[:, classes == k].amax(1) if (classes == k).any()
                    else torch.full((7,), float(EMPTY_CLASS_LOGIT)))
        np.testing.assert_allclose(best[:, k], expected, rtol=1e-6, atol=1e-6)
        assert used[k] == (classes == k).any()


def test_void_and_empty_classes_in_the_ensemble():
    names, concepts = unit(3, 16), torch.zeros(8, 16)
    concepts[:2] = names[:2]
    classes = torch.tensor([0, 1, *[-1] * 6])
    street = torch.zeros(2, 2, 4)
    street[..., 0] = 1  # everything is the first word
    log_share, _ = ensemble(street, unit(1, 1, 16), names, [1, 1, 1], concepts, classes,
                            torch.tensor([0.0, 0.0, 0.0, 0.0]))
    share = log_share.exp()
    assert share.shape == (2, 2, 5) and (share[..., 2:4] == 0).all()
    assert (share.argmax(-1) == 0).all()
    street = torch.zeros(2, 2, 4)
    street[..., 3] = 1  # everything is an object, which no prompt is near to
    log_share, _ = ensemble(street, unit(1, 1, 16), names, [1, 1, 1], concepts, classes,
                            torch.tensor([0.0, 0.0, 0.0, 0.0]))
    assert (log_share.argmax(-1) == 4).all()  # void


@pytest.mark.parametrize('download', [CLASSIFIER, MINILM])
def test_another_file_is_refused(download, tmp_path):
    (tmp_path / 'file').write_bytes(b'something else')
    with pytest.raises(ValueError, match=f'is not the file of {download.requirement}'):
        download.read(tmp_path / 'file')


def test_the_head_decides_among_the_classes_that_it_knows():
    """ConSE takes the cell for the second class, but the head knows better."""
    names, concepts = unit(2, 16), torch.zeros(4, 16)
    concepts[:2] = names
    classes = torch.tensor([0, 1, -1, -1])
    street = torch.tensor([[[0.6, 0.3, 0.1]]])
    log_share, log_naming = ensemble(street, names[1].view(1, 1, 16), names, [1, 1], concepts,
                                     classes, torch.tensor([0.5, 0.5, 0.0]))
    assert log_share.argmax(-1).item() == 1 and log_naming.argmax(-1).item() == 0
    np.testing.assert_allclose(log_share[..., 3], log_naming[..., 3])  # void


def test_words_that_describe_nothing_change_nothing():
    """Ten more anomaly words that are far from what is seen leave the known class its share."""
    axes = torch.eye(16)
    street = torch.tensor([[[0.3, 0.7]]])  # road or object
    shares = []
    for words in (0, 10):
        concepts, classes = torch.zeros(16, 16), torch.full((16,), -1)
        concepts[0], classes[0] = axes[0], 0  # 'road'
        concepts[1], classes[1] = axes[1], 1  # what is seen
        concepts[2:2 + words], classes[2:2 + words] = axes[2:2 + words], torch.arange(words) + 2
        log_share, _ = ensemble(street, axes[1].view(1, 1, 16), axes[:1], [1], concepts, classes,
                                torch.full((14,), 0.3))
        share = log_share.exp()[0, 0]
        shares.append(share[0] / share.sum())
    np.testing.assert_allclose(shares[0], shares[1], rtol=0.02)
    assert shares[0] < 0.3
