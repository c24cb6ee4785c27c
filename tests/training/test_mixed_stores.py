"""Pairs from several stores: drawn by their shares, logged and recorded by store."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_run import tiny_run
from tiny_training import make_crop_store

from armory_skelevision.training.data.loading import PairDataset, describe_pairs, training_pairs
from armory_skelevision.training.data.real_crops.sampling import CropPairSampler
from armory_skelevision.training.data.real_crops.store import CropStore
from armory_skelevision.training.fitting import train
from armory_skelevision.training.licence import find_licence
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.run_record import check_same_run, record_run
from armory_skelevision.training.settings import MultitaskSettings, shares_of
from armory_skelevision.validation import InvalidValueError

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A run on rendered people and on crops, one to three."""
    root = tmp_path_factory.mktemp("mixed")
    single = tiny_run(MultitaskSettings, root, batch_size=8)
    return dataclasses.replace(single, store={single.store: 1, make_crop_store(root / "crops"): 3})


def test_shares_add_up_to_one():
    assert shares_of("store", "a") == {"a": 1.0}
    assert shares_of("store", {"a": 1, "b": 3}) == {"a": 0.25, "b": 0.75}


@pytest.mark.parametrize("store", [{}, {"a": 0}, {"a": -1}, {"a": True}, {"": 1}, {"a\nb": 1}, ["a"], {"a": "1"}])
def test_wrong_shares_are_refused(store):
    with pytest.raises(InvalidValueError) as caught:
        MultitaskSettings.from_dict({"store": store, "validation_store": "b", "folder": "c"}, "file")
    assert caught.value.key == "file.store"


def test_a_run_is_not_written_into_any_of_its_stores():
    with pytest.raises(InvalidValueError) as caught:
        MultitaskSettings(store={"a": 1, "b": 1}, validation_store="c", folder="b/run")
    assert caught.value.key == "folder"


def test_pairs_come_from_each_store_by_its_share(settings):
    rendered, crops = settings.store
    mixed, again = (PairDataset(settings.store, 1, 191) for _ in range(2))
    sampler = CropPairSampler(CropStore(crops), 191)
    for pairs in (mixed, again):
        pairs._samplers = [sampler, sampler]  # those of rendered people take seconds to begin
    sources = np.array([int(mixed[index].source) for index in range(40)])
    assert 20 <= sources.sum() <= 38
    for index in (0, 1, 2, 3):
        for one, other in zip(mixed[index], again[index], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert describe_pairs(settings.store) == (
        f"pairs: 25% {describe_pairs(rendered)}, 75% pairs from 6 crops of real people (tiny)"
    )


def test_the_loss_is_logged_by_store(settings):
    crops = next(reversed(settings.store))
    training = MultitaskTraining(settings)
    logged = {}
    training.log, training.log_dict = lambda name, value, **_: logged.update({name: value}), logged.update
    batch = next(iter(training_pairs(dataclasses.replace(settings, store=crops))))
    loss = training.training_step(batch._replace(source=torch.ones_like(batch.source)), 0)
    assert [name for name in logged if name.startswith("loss ")] == [f"loss {crops}"]
    torch.testing.assert_close(logged[f"loss {crops}"], loss.detach())
    halves = torch.arange(len(batch.source)) % 2
    training.training_step(batch._replace(source=halves), 0)
    assert {name for name in logged if name.startswith("loss ")} == {f"loss {folder}" for folder in settings.store}
    assert len({float(value) for name, value in logged.items() if name.startswith("loss ")}) == 2


def test_the_record_depends_on_stores_and_shares(settings, tmp_path):
    record = record_run(settings, {})
    rendered, crops = settings.store
    for store in ({rendered: 3, crops: 1}, rendered):
        other = record_run(dataclasses.replace(settings, store=store), {})
        with pytest.raises(InvalidValueError) as caught:
            check_same_run(record, other)
        assert caught.value.key == "store"
    check_same_run(record, record_run(dataclasses.replace(settings, store={rendered: 2, crops: 6}), {}))


def test_weights_have_the_terms_of_all_stores(settings):
    assert find_licence(settings) == "terms of the pictures of tiny"
    assert find_licence(dataclasses.replace(settings, store=next(iter(settings.store)))) == "MIT"


def test_a_run_on_two_stores(settings, tmp_path):
    store = {make_crop_store(tmp_path / "a"): 1, make_crop_store(tmp_path / "b", 1): 1}
    run = dataclasses.replace(settings, store=store, validation_store=store, steps=2, batch_size=2)
    card = train(MultitaskTraining(run)).with_name("card.md").read_text()
    assert all(folder in card for folder in store)
