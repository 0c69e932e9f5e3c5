"""How sure a score is, by the posterior over the weights that read it off the melody's vector.

Shapes: B melodies, E size of the melody's vector.
"""

from __future__ import annotations

from torch import Tensor, nn

INTERVAL = 0.9
"""How often a score is meant to lie in its interval."""
INTERVAL_SDS = 1.6449
"""Standard deviations on either side that make such an interval of a Gaussian."""


class ReadoutPosterior(nn.Module):
    """Standard deviation of a score, from the melody's vector.

    Two parts add up as variances. One is the posterior of the readout, a Gaussian by Laplace's
    approximation (MacKay, 1992): it grows with the distance from the mean training melody, most in
    directions that no comparison told anything about. The other is the same for all melodies: how
    far trainings that differ in nothing but chance disagree. ``seqmelody.training.laplace`` fits
    both.

    Its tensors are no weights, and not in the ``state_dict``: a checkpoint keeps them in a file of
    their own.

    Args:
        mean_E: Mean of the training melodies' vectors; what the sd is relative to.
        root_EE: ``root_EE @ root_EE.T`` is the covariance of the readout's weights.
        spread: What all melodies have in common, on the scale of the score, a scalar.
    """

    mean_E: Tensor
    root_EE: Tensor
    spread: Tensor

    def __init__(self, mean_E: Tensor, root_EE: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean_E", mean_E, persistent=False)
        self.register_buffer("root_EE", root_EE, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, vector_BE: Tensor) -> Tensor:
        """The standard deviations, ``(B,)``."""
        away_BE = vector_BE - self.mean_E
        readout_BE = away_BE @ self.root_EE
        return (readout_BE.square().sum(1) + self.spread.square()).sqrt()
