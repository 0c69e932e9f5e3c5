from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import batches
from tunes import TUNES

from seqmelody import MelodyReward
from seqmelody.batching import Batch, collate
from seqmelody.checkpoint import load_checkpoint
from seqmelody.errors import CheckpointError, UsageError
from seqmelody.scorer import Scorer
from seqmelody.tokens import Tokenizer

RANGES = {"mean_interval": (0.5, 5.0), "pitch_range": (3.0, 24.0)}


@pytest.fixture(scope="module")
def checkpoint(checkpoint_folder):
    return dataclasses.replace(load_checkpoint(checkpoint_folder), statistic_ranges=RANGES)


@pytest.fixture(scope="module")
def reward(checkpoint) -> MelodyReward:
    return MelodyReward(checkpoint)


def streams(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.pitch_BL, batch.duration_BL, batch.rest_BL, batch.length_B


def tunes() -> Batch:
    return collate([Tokenizer().encode(tune) for tune in TUNES.values()])


def noise() -> Batch:
    pitch_BL = torch.tensor([[20, 100] * 10, [60, 62] * 10])
    return Batch(
        pitch_BL, torch.full((2, 20), 24), torch.zeros(2, 20).long(), torch.tensor([20, 20])
    )


def test_a_reward_is_the_score_that_the_scorer_gives(checkpoint_folder, reward):
    given = reward(*streams(tunes()))
    scores = Scorer.load(checkpoint_folder, threads=1).score(list(TUNES.values()))
    assert given.dtype == torch.float32
    assert given.tolist() == pytest.approx([row.score for row in scores], abs=1e-5)


@settings(max_examples=30)
@given(batch=batches())
def test_the_batch_does_not_matter_and_nothing_is_ever_nan(reward, batch):
    together = reward(*streams(batch))
    assert together.isfinite().all()
    for row, length in enumerate(batch.length_B.tolist()):
        alone = reward(
            batch.pitch_BL[row : row + 1, :length],
            batch.duration_BL[row : row + 1, :length],
            batch.rest_BL[row : row + 1, :length],
            batch.length_B[row : row + 1],
        )
        assert alone.item() == pytest.approx(together[row].item(), abs=1e-5)


def test_a_large_batch_is_scored_in_parts(reward, monkeypatch):
    whole = reward(*streams(tunes()))
    monkeypatch.setattr("seqmelody.scorer.reward._NOTES_AT_ONCE", 1)
    assert torch.allclose(reward(*streams(tunes())), whole, atol=1e-5)


def test_what_stands_on_padding_and_after_the_last_note_does_not_count(reward):
    batch = tunes()
    expected = reward(*streams(batch))
    rest_BL = batch.rest_BL.clone()
    rest_BL[torch.arange(len(batch)), batch.length_B - 1] = 50
    filled = [
        torch.where(batch.mask_BL, stream, torch.tensor(waste))
        for stream, waste in ((batch.pitch_BL, -1), (batch.duration_BL, 9999), (rest_BL, -7))
    ]
    wide = [torch.nn.functional.pad(stream, (0, 30), value=300) for stream in filled]
    assert torch.allclose(reward(*wide, batch.length_B), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64, torch.uint8])
def test_any_type_of_whole_numbers_will_do(reward, dtype):
    expected = reward(*streams(tunes()))
    given = reward(*(stream.to(dtype) for stream in streams(tunes())))
    assert torch.allclose(given, expected, atol=1e-5)


def test_durations_above_the_cap_count_as_the_cap(reward):
    at_cap, above = noise(), noise()
    at_cap.duration_BL[:, 3] = 192
    above.duration_BL[:, 3] = 5000
    assert torch.equal(reward(*streams(at_cap)), reward(*streams(above)))


def test_it_has_no_gradient_but_can_be_part_of_a_loss(reward):
    logit_B = torch.zeros(len(TUNES), requires_grad=True)
    given = reward(*streams(tunes()))
    assert not given.requires_grad
    (given * logit_B).sum().backward()
    assert torch.equal(logit_B.grad, given)


def test_neither_dropout_nor_autocast_nor_the_holder_changes_it(reward):
    expected = reward(*streams(tunes()))

    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.reward = reward

    holder = Holder().train()
    assert list(holder.parameters()) == []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(holder.reward(*streams(tunes())), expected)


def test_an_empty_batch_gives_no_rewards(reward):
    none = torch.zeros(0, 5, dtype=torch.int64)
    assert reward(none, none, none, torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_percentiles_are_shares_and_z_scores_are_standardised(checkpoint):
    scores = MelodyReward(checkpoint)(*streams(tunes()))
    shares = MelodyReward(checkpoint, scale="percentile")(*streams(tunes()))
    assert shares.dtype == torch.float32
    expected = checkpoint.percentile(scores.numpy()) / 100
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    z = MelodyReward(checkpoint, scale="z-score")(*streams(tunes()))
    # The quantiles are evenly spaced from -1 to 1.
    assert z.tolist() == pytest.approx((scores / np.sqrt(1 / 3)).tolist(), rel=0.02)


def test_the_unfamiliar_is_flagged_and_pays_the_penalty(checkpoint):
    plain, strict = MelodyReward(checkpoint), MelodyReward(checkpoint, penalty=2.0)
    far_B = plain.unfamiliarity(*streams(noise()))
    assert far_B.tolist() == pytest.approx([(80 - 5) / 4.5, 0.0])
    paid_B = plain(*streams(noise())) - strict(*streams(noise()))
    assert paid_B.tolist() == pytest.approx([2 * (1 + (80 - 5) / 4.5), 0.0], abs=1e-4)


def test_with_percentiles_a_penalty_of_one_puts_garbage_below_all_else(checkpoint):
    strict = MelodyReward(checkpoint, scale="percentile", penalty=1.0)
    garbage, familiar = strict(*streams(noise())).tolist()
    assert garbage < 0 <= familiar


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pitch_BL": torch.zeros(2, 20)}, "pitch_BL must be a tensor of whole numbers, not"),
        ({"rest_BL": [[0]]}, "rest_BL must be a tensor of whole numbers, not list"),
        ({"length_B": torch.tensor([20, 20], dtype=torch.complex64)}, "length_B must be a tensor"),
        ({"duration_BL": torch.ones(2, 19).long()}, r"\(B, L\) and the lengths \(B,\), not .*19"),
        ({"length_B": torch.tensor([[20, 20]])}, r"lengths \(B,\)"),
        ({"length_B": torch.tensor([20])}, r"lengths \(B,\)"),
        (
            {"length_B": torch.tensor([20, 21])},
            r"length_B must be from 1 to 20, but is 21 \(row 1\)",
        ),
        ({"length_B": torch.tensor([0, 20])}, r"length_B must be from 1 to 20, but is 0 \(row 0\)"),
        ({"pitch_BL": torch.full((2, 20), 128)}, r"from 0 to 127, but is 128 \(row 0, note 0\)"),
        ({"pitch_BL": torch.full((2, 20), -1)}, r"pitch_BL must be from 0 to 127, but is -1"),
        ({"duration_BL": torch.zeros(2, 20).long()}, "duration_BL must be 1 or more, but is 0"),
        ({"rest_BL": torch.full((2, 20), -1)}, "rest_BL must be 0 or more, but is -1"),
    ],
)
def test_what_is_no_batch_is_told_in_one_line(reward, change, message):
    names = ("pitch_BL", "duration_BL", "rest_BL", "length_B")
    arguments = {**dict(zip(names, streams(noise()), strict=True)), **change}
    with pytest.raises(UsageError, match=message) as caught:
        reward(**arguments)
    assert "\n" not in str(caught.value)


def test_wrong_settings_are_told(checkpoint, checkpoint_folder):
    with pytest.raises(UsageError, match="scale must be one of score, percentile, z-score"):
        MelodyReward(checkpoint, scale="rank")
    for penalty in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="penalty must be a number from 0 on"):
            MelodyReward(checkpoint, penalty=penalty)
    with pytest.raises(UsageError, match="'nonsense' cannot be used"):
        MelodyReward.load(checkpoint_folder, device="nonsense")
    bare = dataclasses.replace(
        checkpoint, score_quantiles=np.zeros(0, dtype=np.float32), statistic_ranges={}
    )
    for options in ({"scale": "percentile"}, {"scale": "z-score"}, {"penalty": 1.0}):
        with pytest.raises(CheckpointError, match="use a released checkpoint folder"):
            MelodyReward(bare, **options)
    assert MelodyReward(bare).unfamiliarity(*streams(noise())).tolist() == [0, 0]


def test_it_needs_no_lightning():
    program = (
        "import sys; from seqmelody import MelodyReward\n"
        "print(sorted({'lightning', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.gpu
def test_the_batch_may_lie_on_another_device_than_the_model(checkpoint_folder, reward):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    expected = reward(*streams(tunes()))
    on_gpu = MelodyReward.load(checkpoint_folder, device="cuda")
    from_gpu = on_gpu(*streams(tunes().to("cuda")))
    assert from_gpu.device.type == "cuda"
    assert torch.allclose(from_gpu.cpu(), expected, atol=1e-4)
    assert torch.allclose(on_gpu(*streams(tunes())), expected, atol=1e-4)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.allclose(on_gpu(*streams(tunes())), expected, atol=1e-4)
