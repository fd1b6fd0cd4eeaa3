"""What a trained model can do. One task, one file: its verbs, its preview, its evaluation."""

from sparring.tasks.classify import Classify
from sparring.tasks.density import Density
from sparring.tasks.sample import Sample

__all__ = ["Classify", "Density", "Sample"]
