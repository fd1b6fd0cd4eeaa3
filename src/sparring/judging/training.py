"""Metrics while a game is played, and the best weights kept."""

from __future__ import annotations

from sparring.core import Dataset, UserError
from sparring.core.loop import Loop, Moment
from sparring.judging.evaluation import Question, evaluate
from sparring.judging.samples import HIGHER_IS_BETTER, named_metrics
from sparring.metrics.value import Value

SAMPLES = 2048
QUICK = ("fid", "kid", "prdc", "modes")


class Examiner:
    """Evaluates the model whenever it is due; taken up from the run's folder when the run goes on.

    Args:
        loop: what plays the game.
        held: examples that were kept from training.

    Raises:
        UserError: the metric to keep the best by is unknown.
    """

    def __init__(self, loop: Loop, held: Dataset | None = None):
        self.loop, self.held, self.best_by = loop, held, loop.config.keep_best
        asked = (self.best_by,) if self.best_by else ()
        self.metrics = tuple(metric.__name__ for metric in named_metrics([*QUICK, *asked]))
        self.best: float | None = None
        for line in loop.run_folder.lines("evaluations"):
            self._improves([Value.from_dict(value) for value in line["values"]])

    def see(self, moment: Moment) -> None:
        """Evaluate if it is due; a line of `evaluations.jsonl`, and the weights if they are the best yet."""
        if not moment.due:
            return
        model, loop = self.loop.shipped, self.loop
        question = Question(self.metrics, samples=SAMPLES, seed=0)
        answer = evaluate(model, loop.config.data, loop.dataset, question, self.held)
        loop.run_folder.append(
            "evaluations", {"step": moment.step, "values": [value.as_dict() for value in answer.values]}
        )
        shown = "  ".join(f"{value.name} {value.value:.4g}" for value in answer.values)
        loop.say(f"step {moment.step:,}: {shown}")
        if loop.board:
            for value in answer.values:
                loop.board.add_scalar(f"metrics/{value.name}", value.value, moment.step)
        if self._improves(answer.values):
            model.save(loop.run_folder.best, step=moment.step, **{self.best_by: self.best})

    def _improves(self, values: list[Value]) -> bool:
        """Whether the chosen metric is better than ever; notes it."""
        if not self.best_by:
            return False
        found = next((value for value in values if _same(value.name, self.best_by)), None)
        if found is None:
            names = ", ".join(value.name for value in values)
            raise UserError(f"--keep-best {self.best_by}: this run's evaluations give only {names}")
        higher = found.name in HIGHER_IS_BETTER
        better = self.best is None or (found.value > self.best if higher else found.value < self.best)
        if better:
            self.best = found.value
        return better


def _same(name: str, wanted: str) -> bool:
    return name.removeprefix("feature_") == wanted.removeprefix("feature_")
