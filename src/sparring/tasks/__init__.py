"""What a trained model can do. One task, one file: its verbs, its preview, its evaluation."""

from sparring.tasks.classify import Classify
from sparring.tasks.compose import Compose
from sparring.tasks.density import Density
from sparring.tasks.inpaint import Inpaint
from sparring.tasks.sample import Sample
from sparring.tasks.translate import Translate
from sparring.tasks.upscale import Upscale

__all__ = ["Classify", "Compose", "Density", "Inpaint", "Sample", "Translate", "Upscale"]
