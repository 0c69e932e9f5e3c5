"""Models that score and embed melodies, behind one interface."""

from seqmelody.config import ModelConfig
from seqmelody.model.network import MelodyNetwork
from seqmelody.model.output import MelodyModel, ModelOutput
from seqmelody.tokens import Tokenizer

__all__ = ["MelodyModel", "MelodyNetwork", "ModelOutput", "build_model"]


def build_model(config: ModelConfig, tokenizer: Tokenizer) -> MelodyNetwork:
    """The model that a configuration asks for, with random weights.

    Args:
        config: The parts and their sizes.
        tokenizer: Whose streams the model reads.

    Raises:
        SeqmelodyError: It hears melodies, and the extra ``audio`` is not installed.
    """
    if config.front_end == "notes":
        return MelodyNetwork(config, tokenizer)
    # What reads notes needs no sound.
    from seqmelody.model.hearing import HearingNetwork

    return HearingNetwork(config, tokenizer)
