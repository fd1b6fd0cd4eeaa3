"""An independent digit classifier: says which digit a picture shows, and how sure it is. Trained once, kept in the cache."""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from sparring.core import device
from sparring.data.cache import cache_folder
from sparring.data.images import Images
from sparring.tasks.sample import read_examples

FEATURES = 128


class Judge(nn.Module):
    """28 x 28 grey to 10 logits; 128 features before them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding=1, stride=2), nn.BatchNorm2d(128), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 49, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))

    @torch.inference_mode()
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities, N x 10, and features, N x 128, in float32."""
        self.eval()
        features = torch.cat([self.body(part) for part in images.split(1000)])
        return self.head(features).softmax(1), features


def digit_judge(epochs: int = 6, seed: int = 0) -> tuple[Judge, float]:
    """The judge and its accuracy on the 10,000 test digits. Trains on MNIST's 60,000 (SPARRING_DATA) on first use."""
    torch.manual_seed(seed)
    judge, path = Judge(), cache_folder("judges") / f"digits-plain-{epochs}-{seed}.safetensors"
    if path.exists():
        judge.load_state_dict(load_file(path))
    else:
        _train(judge, epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(judge.state_dict(), path)
    test = Images("digits").resolved().open()
    index = torch.arange(len(test))
    batch = test.prepare(test.batch(index, torch.Generator()))
    accuracy = (judge.judge(batch.image)[0].argmax(1) == batch.label).float().mean().item()
    return judge, accuracy


def _train(judge: Judge, epochs: int) -> None:
    data = Images("mnist").resolved().open()
    steps = epochs * len(data) // 128
    optimizer = torch.optim.Adam(judge.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        if step % (len(data) // 128) == 0:
            order = torch.randperm(len(data))
        index = order[(step % (len(data) // 128)) * 128 :][:128]
        image, label = data.prepare(data.batch(index, torch.Generator()))
        shift = torch.randint(-2, 3, (2,)).tolist()
        image = image.roll(shift, (2, 3))
        with device.autocast("auto", torch.device("cpu")):
            loss = functional.cross_entropy(judge(image).float(), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def digit_report(images: Tensor) -> dict[str, float | list[float]]:
    """What the judge says of N pictures of digits: share that is sure, share of each digit, Fréchet distance."""
    from sparring.metrics.frechet import frechet

    judge, accuracy = digit_judge()
    probabilities, features = judge.judge(images)
    sure, digit = probabilities.max(1)
    shares = torch.bincount(digit[sure >= 0.9], minlength=10).double()
    real = read_examples(Images("mnist").resolved().open(), 10_000, 1)
    return {
        "judge_accuracy": round(accuracy, 4),
        "sure": round((sure >= 0.9).double().mean().item(), 4),
        "shares": [round(share, 4) for share in (shares / shares.sum().clamp(min=1)).tolist()],
        "smallest_share": round((shares / shares.sum().clamp(min=1)).min().item(), 4),
        "digit_frechet": round(frechet(features, judge.judge(real)[1]), 3),
    }
