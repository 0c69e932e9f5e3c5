"""``adapt``: a checkpoint gets to know listeners, from a handful of ratings each.

No weight changes. A listener is fitted in closed form on the scores and embeddings that the model
gives to what was rated; ``seqmelody.listeners`` has the method.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqmelody.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from seqmelody.errors import InputError, UsageError
from seqmelody.judgements import RatingTable
from seqmelody.listeners import Listener, Listeners, RatingModel, unit_of
from seqmelody.midi import MelodyLine
from seqmelody.midi.archives import is_archive
from seqmelody.scorer.scorer import Scorer

HEADING = "## Listeners"


@dataclass(frozen=True)
class Adapted:
    """What came of it.

    Attributes:
        folder: The new checkpoint.
        listeners: Those who were fitted, by name.
        assumed: Whether the checkpoint had seen no rating before, so that all but the listeners'
            own ratings is assumption.
        warnings: What is odd about the ratings.
        failures: Melodies that could not be read; their ratings are left out.
    """

    folder: Path
    listeners: dict[str, Listener]
    assumed: bool
    warnings: tuple[str, ...]
    failures: tuple[InputError, ...]


def adapt(
    checkpoint: str | Path,
    ratings: str | Path,
    out: str | Path,
    *,
    listener: str | None = None,
    column: str = "score",
    scale: tuple[float, float] | None = None,
    line: MelodyLine = MelodyLine(),
    replace: bool = False,
) -> Adapted:
    """Fits listeners to ratings, and writes a checkpoint that knows them.

    A listener whom the checkpoint knows already is fitted anew, to these ratings alone. Where the
    checkpoint was trained without ratings, ``RatingModel.assumed`` says what is taken for granted;
    the first file of ratings decides it, and is best of several listeners.

    Args:
        checkpoint: Folder, or ``.ckpt`` of a run.
        ratings: CSV file with ``path``, the column of the rating, and maybe ``rater``. Paths are
            those of MIDI files, from the file's own folder or else from the working directory on.
        out: Folder of the new checkpoint. May be the one to adapt, which then gets to know the
            listeners where it is.
        listener: Who gave the ratings of the file; or, where it has a column ``rater``, which of
            them to fit. By default all of them.
        column: Which column holds the ratings.
        scale: Lowest and highest rating there can be; by default what the checkpoint knows.
        line: Which line of a MIDI file is the melody.
        replace: Whether another checkpoint at ``out`` may be replaced.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        UsageError: The ratings cannot be read or used, the checkpoint knows another scale, or there
            is something else at ``out``.
    """
    out, checkpoint = Path(out), find_checkpoint(checkpoint)
    if out.exists():
        _require_free(out, checkpoint, Path(ratings), replace)
    if scale is not None and not (math.isfinite(scale[0]) and scale[0] < scale[1] < math.inf):
        raise UsageError(f"the scale must be two rising numbers, not {scale[0]:g} {scale[1]:g}")
    if listener is not None and not listener.strip():
        raise UsageError("the listener needs a name")
    loaded = load_checkpoint(checkpoint)
    loaded.require_scores()
    known = loaded.listeners or Listeners()
    if known.rating is not None and known.rating.low is not None:
        assert known.rating.high is not None
        kept = (known.rating.low, known.rating.high)
        if scale is not None and scale != kept:
            raise UsageError(
                f"{loaded.name}: knows ratings from {kept[0]:g} to {kept[1]:g}, so the scale cannot "
                f"be {scale[0]:g} to {scale[1]:g}; bring the ratings to the scale it knows"
            )
        scale = kept
    table = RatingTable.read(ratings, column=column, scale=scale, rater=listener)
    if table.key != "path":
        raise UsageError(f"{table.path}: needs a column 'path' of MIDI files, and no column 'id'")
    raters = _raters(table, listener)
    wanted = np.isin(table.rater, list(raters))
    names = [name for name, here in zip(table.names, wanted, strict=True) if here]
    value, rater = table.value[wanted], table.rater[wanted]
    score, embedding, failures = _scored(loaded, table.path, names, line)
    heard = np.isfinite(score)
    if not heard.any():
        raise UsageError(f"{table.path}: none of its melodies can be read ({failures[0]})")
    model = known.rating
    if model is not None and scale is not None and model.low is None:
        model = dataclasses.replace(model, low=scale[0], high=scale[1])
    if model is None:
        model = _assumed(loaded, score[heard], embedding[heard], value[heard], scale)
    fitted = {}
    for number, name in raters.items():
        own = heard & (rater == number)
        if own.any():
            fitted[name] = model.fit(score[own], embedding[own], value[own])
    listeners = dataclasses.replace(known, rating=model, listeners={**known.listeners, **fitted})
    save_checkpoint(
        # What a link leads to is replaced, not the link.
        out.resolve(),
        dataclasses.replace(loaded, listeners=listeners),
        _card(checkpoint, loaded, listeners),
    )
    warnings = table.warnings
    again = sorted(fitted.keys() & known.listeners.keys())
    if again:
        warnings += (f"{', '.join(again)}: known before, and now fitted to these ratings alone",)
    nameless = int((table.rater < 0).sum())
    if nameless:
        warnings += (f"{nameless} ratings without a rater are left out",)
    return Adapted(out, fitted, known.rating is None, warnings, failures)


def _require_free(out: Path, checkpoint: Path, ratings: Path, replace: bool) -> None:
    """Checks that nothing would be lost.

    Raises:
        UsageError: What is at ``out`` is no checkpoint, or another than the one adapted, or holds
            the ratings.
    """
    if not (out / CONFIG_FILE).is_file():
        raise UsageError(f"{out}: is there, and no checkpoint; give another --out")
    if not replace and not (checkpoint.exists() and out.samefile(checkpoint)):
        raise UsageError(f"{out}: holds a checkpoint already; give another --out, or --replace it")
    if ratings.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{ratings}: lies in {out}, which is replaced as a whole; move it")


def _raters(table: RatingTable, listener: str | None) -> dict[int, str]:
    """Whom to fit, by number in the table."""
    if not table.raters:
        raise UsageError(f"{table.path}: names no rater, so say whose the ratings are (--listener)")
    if listener is None:
        return dict(enumerate(table.raters))
    if listener not in table.raters:
        raise UsageError(
            f"{table.path}: has no ratings of {listener!r}, but of {', '.join(table.raters)}"
        )
    return {table.raters.index(listener): listener}


def _scored(
    checkpoint: Checkpoint, table: Path, names: list[str], line: MelodyLine
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[InputError, ...]]:
    """Score and embedding for each name, NaN where a file cannot be read; and why."""
    scorer = Scorer(checkpoint, line=line)
    unique = list(dict.fromkeys(names))
    place = {name: number for number, name in enumerate(unique)}
    beside = [table.parent / name for name in unique]
    paths = [
        path if path.is_file() else Path(name) for path, name in zip(beside, unique, strict=True)
    ]
    failures, there = [], []
    for number, path in enumerate(paths):
        if not path.is_file():
            where = f"neither in {table.parent} nor in the current folder"
            failures.append(InputError(str(path), f"no such file, {where}"))
        elif is_archive(str(path)):
            raise UsageError(f"{table}: {path}: an archive; unpack it, and name the files in it")
        else:
            there.append(number)
    score = np.full(len(unique), np.nan)
    embedding = np.full((len(unique), scorer.embedding_size), np.nan)
    # A taste lies in the model's own embeddings, not in those made comparable.
    done = 0
    for chunk in scorer.chunks([paths[number] for number in there]):
        here = there[done : done + len(chunk.read)]
        score[here], embedding[here] = chunk.score_N, chunk.embedding_NE
        failures.extend(error for error in chunk.read.errors if error is not None)
        done += len(here)
    rows = [place[name] for name in names]
    return score[rows], embedding[rows], tuple(failures)


def _assumed(
    checkpoint: Checkpoint,
    score: NDArray[np.float64],
    embedding: NDArray[np.float64],
    value: NDArray[np.float64],
    scale: tuple[float, float] | None,
) -> RatingModel:
    # Evenly spaced quantiles have about the mean and spread of what they are of.
    scores = np.asarray(checkpoint.score_quantiles, dtype=np.float64)
    if scores.size == 0:
        scores = score
    whitening = checkpoint.whitening
    model = RatingModel.assumed(
        float(scores.mean()),
        unit_of(scores),
        value,
        embedding,
        directions=None if whitening is None else whitening.axes_EE.T,
    )
    low, high = (None, None) if scale is None else scale
    return dataclasses.replace(model, low=low, high=high)


def _card(folder: Path, checkpoint: Checkpoint, listeners: Listeners) -> str:
    """The old card, with a list of the listeners at its end."""
    try:
        card = (folder / CARD_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        card = f"# {checkpoint.name}\n"
    card = card.partition(f"\n{HEADING}\n")[0].rstrip()
    told = "\n".join(
        f"| {name} | {entry.ratings} |" for name, entry in sorted(listeners.listeners.items())
    )
    return (
        f"{card}\n\n{HEADING}\n"
        "Fitted by 'seqmelody adapt' or in training, on top of the weights; 'seqmelody score "
        "--listener NAME' gives their expected ratings.\n\n"
        f"| Listener | Ratings |\n|---|---|\n{told}\n"
    )
