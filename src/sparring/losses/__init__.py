"""Functions that score: adversarial losses, penalties, perceptual distances."""
