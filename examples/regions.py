"""Which region is a folk song from? Embeddings with scikit-learn, pandas and Polars.

The region is what the name of a file begins with; ``elsass`` is left out, since its songs are among
those of ``deut`` as well. Each region gives as many songs. Near-duplicates, which a corpus knows as
groups, are never on both sides of a split.

    seqmelody corpus essen --out data/essen
    seqmelody prepare data/essen --out data/essen.corpus
    seqmelody embed data/essen.corpus --out essen.parquet
    python examples/regions.py data/essen data/essen.corpus essen.parquet
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from tabulate import tabulate

from seqmelody.estimators import MelodyEmbedder

FOLDS = StratifiedGroupKFold(5, shuffle=True, random_state=0)


def songs_of(folder: Path, corpus: Path, each: int) -> pd.DataFrame:
    """Songs of the regions that have enough: columns ``id``, ``path``, ``region`` and ``group``.

    Args:
        folder: Of the MIDI files.
        corpus: What 'seqmelody prepare' made of them.
        each: Songs of each region.
    """
    songs = pd.read_parquet(corpus / "melodies.parquet", columns=["id", "group"])
    songs["region"] = songs["id"].str.extract("^([a-z]+)", expand=False)
    songs["path"] = [str(folder / f"{name}.mid") for name in songs["id"]]
    songs = songs[songs["region"] != "elsass"]
    enough = songs.groupby("region")["id"].transform("size") >= each
    return songs[enough].groupby("region").sample(each, random_state=0)


def from_files(songs: pd.DataFrame) -> np.ndarray:
    """Accuracy of logistic regression in five folds; the melodies are read from MIDI files."""
    pipeline = make_pipeline(MelodyEmbedder(), LogisticRegression(max_iter=1000))
    return cross_val_score(
        pipeline, songs["path"], songs["region"], groups=songs["group"], cv=FOLDS
    )


def from_embeddings(songs: pd.DataFrame, embeddings: Path) -> np.ndarray:
    """Accuracy of the nearest neighbours in five folds, with what 'seqmelody embed' wrote."""
    table = pl.read_parquet(embeddings, columns=["id", "embedding"])
    table = pl.from_pandas(songs).join(table, on="id", maintain_order="left")
    vectors = table["embedding"].to_numpy()
    return cross_val_score(
        KNeighborsClassifier(), vectors, table["region"], groups=table["group"], cv=FOLDS
    )


def searched(
    songs: pd.DataFrame, checkpoints: Sequence[str | None]
) -> tuple[float, dict[str, object]]:
    """What a grid search over checkpoints and penalties reaches on the fifth that it never saw.

    Returns:
        The accuracy, and what was chosen.
    """
    known, left = next(FOLDS.split(songs["path"], songs["region"], songs["group"]))
    known, left = songs.iloc[known], songs.iloc[left]
    with tempfile.TemporaryDirectory() as memory:
        # With a memory a fold is embedded once for all penalties.
        search = GridSearchCV(
            make_pipeline(MelodyEmbedder(), LogisticRegression(max_iter=1000), memory=memory),
            {
                "melodyembedder__checkpoint": checkpoints,
                "logisticregression__C": [0.1, 1.0, 10.0, 100.0],
            },
            cv=FOLDS,
        )
        search.fit(known["path"], known["region"], groups=known["group"])
        return search.score(left["path"], left["region"]), search.best_params_


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="MIDI files of 'seqmelody corpus essen'")
    parser.add_argument("corpus", type=Path, help="what 'seqmelody prepare' made of them")
    parser.add_argument("embeddings", type=Path, help="what 'seqmelody embed' made of the corpus")
    parser.add_argument("--each", type=int, default=60, help="songs of each region (60)")
    parser.add_argument(
        "--checkpoint",
        action="append",
        metavar="C",
        help="for the grid search, maybe several times (default: the one that ships)",
    )
    args = parser.parse_args(argv)
    songs = songs_of(args.folder, args.corpus, args.each)
    folds = {
        "logistic regression, MIDI files": from_files(songs),
        "5 nearest neighbours, Parquet": from_embeddings(songs, args.embeddings),
    }
    reached, chosen = searched(songs, args.checkpoint or [None])
    regions = songs["region"].unique()
    cells = [
        *([name, f"{found.mean():.3f}", f"{found.std():.3f}"] for name, found in folds.items()),
        ["grid search, a fifth left out", f"{reached:.3f}", ""],
        ["chance", f"{1 / len(regions):.3f}", ""],
    ]
    print(f"{len(songs)} songs of {len(regions)} regions: {', '.join(regions)}")
    headers = ["method", "accuracy", "deviation over folds"]
    print(tabulate(cells, headers=headers, disable_numparse=True))
    print("chosen:", ", ".join(f"{name} {value}" for name, value in chosen.items()))


if __name__ == "__main__":
    main()
