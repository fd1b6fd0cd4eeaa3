"""The same networks and batches in a plain PyTorch loop, the way public tutorials write it.

float32, contiguous memory, layers of `torch.nn`, `loss.backward()` into every weight that the graph touches (the opponent's
too), real and forged examples in passes of their own, `autograd.grad(create_graph=True)` for penalties, torch's default
optimizers, `.item()` for the log, a DataLoader that turns one picture at a time into a tensor. Forgeries are drawn anew for
the generator where the method's public code draws them anew.
"""

from benchmarks.plain.common import Plain

__all__ = ["Plain"]
