"""How any run works. Names no method; imports nothing beside it."""

from sparring.core.config import Adam, Config, Optimizer, Precision, RmsProp, Sgd, preset
from sparring.core.data import Data, Dataset, Opponent
from sparring.core.errors import RunError, UserError
from sparring.core.game import Game, Notes, Player, Replay
from sparring.core.media import Frames, Image, Mask, Music
from sparring.core.model import Model, verb

__all__ = [
    "Adam", "Config", "Data", "Dataset", "Frames", "Game", "Image", "Mask", "Model", "Music", "Notes", "Opponent", "Optimizer",
    "Player", "Precision", "Replay", "RmsProp", "RunError", "Sgd", "UserError", "preset", "verb",
]  # fmt: skip
