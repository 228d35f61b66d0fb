"""What `cugrad step` must compute, by PyTorch: cases, their inputs, the replay, the comparison.

A case is a few numbers; everything else follows from a counter-based generator that any language can write in ten
lines, so neither weights nor images are stored.

The generator
    All integers are 64 bits, unsigned, wrapping.  mix is the finaliser of splitmix64:
        z ^= z >> 30;  z *= 0xBF58476D1CE4E5B9;  z ^= z >> 27;  z *= 0x94D049BB133111EB;  z ^= z >> 31
    stream(seed, name) = mix(seed) ^ fnv1a64(name)           FNV-1a over the UTF-8 bytes of name
    bits(seed, name, i) = mix(stream(seed, name) + (i + 1) * 0x9E3779B97F4A7C15)      i counts elements, row-major
    unit(seed, name, i) = 2 * ((bits >> 11) * 2^-53) - 1      in [-1, 1), exact in f64
    value = f32(centre + spread * unit)                       f64 arithmetic, each operation rounded, no fma
    For a check: bits(1, "fc.bias", 0) = 0x859BAA824706018D, bits(1, "fc.bias", 1) = 0x08C87B58E9513243.

The inputs
    tensor                              stream name      centre  spread
    conv weight [K, C, 3, 3]            its own name     0       sqrt(6 / (9 * C))
    fc weight [10, C]                   its own name     0       sqrt(1 / C)
    conv or fc bias                     its own name     0       0.25
    BN weight                           its own name     1       0.25
    BN bias                             its own name     0       0.25
    BN running_mean                     its own name     0       0.25
    BN running_var                      its own name     1       0.5
    BN num_batches_tracked              -                0, an int64 scalar
    image of row r [3, 32, 32]          "image.<r>"      0       sqrt(3)          (mean 0, variance 1)
    All with the case's seed.  Then, before the rounding to f32, a nudge is added to each image:
        image = f32(sqrt(3) * unit(seed, "image.<r>", i) + 2^-15 * unit(nudges[r], "nudge.<r>", i))
    The label of row r is bits(seed, "labels", r) % 10, int64.

The sketch
    Where a golden file does not hold a tensor it holds a sketch of it, nine f64: its L2 norm, then for j = 0 .. 7
    the sum over i of sign_j(i) * tensor[i], with sign_j(i) = -1 if bits(0, "sketch.<j>", i) >> 63 else +1.
    The distance of two tensors is, in the mean over the signs, the root mean square of the eight differences; that
    over the norm is the relative error of a tensor known by its sketch alone.

Gradients that are zero
    A convolution's bias directly or through a max pool before BN has no effect: its true gradient is 0, what is
    computed is rounding.  ZERO_GRADIENTS names them; they are compared absolutely.

Rounding and decisions
    ReLU and max pool decide; where an input lies within rounding of the other decision, f32 and f64 may decide
    differently, and the gradients then differ by far more than rounding.  Such a disagreement says nothing about an
    engine, so the cases avoid it: the nudges of the images are chosen (make_golden.py --search) such that PyTorch's
    float32 run decides as its float64 run in every step, and that no decision of the float64 run is within MARGIN
    times the float32 error of its channel.  A nudge moves its own image's decisions by many such errors, and the
    other images', through the batch norm, by less than one: so image after image can be cleared.
"""
import dataclasses
import json
import math
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn import functional as F

from torch_net import CLASSES, ResNet9, sgd

CASES_FILE = Path(__file__).resolve().parent.parent / "tests" / "golden" / "step_cases.json"
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1
SKETCH_SIGNS = 8
NUDGE = 2.0**-15
MARGIN = 8.0
ZERO_GRADIENTS = ["prep.conv.bias", "layer1.conv.bias", "layer2.conv.bias", "layer3.conv.bias"]
TOLERANCE = {"f64": 1e-10, "f32": 1e-4}
GROUPS = ["loss", "logits0", "grad", "zero grad", "final params", "final buffers", "eval_logits"]


@dataclasses.dataclass
class StepCase:
    """One call of `cugrad step`."""

    width: int
    batch: int
    nudges: list[int]  # one for each row
    nesterov: bool = False
    seed: int = 1
    steps: int = 3
    lr: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 5e-4

    @property
    def name(self):
        return f"step_w{self.width}_b{self.batch}"

    def rows_of(self, step):
        """The rows that step `step` trains on."""
        return [row % len(self.nudges) for row in range(step * self.batch, (step + 1) * self.batch)]


def load_cases():
    """Widths 8, 16 and 64 by batches 4 and 32; two with Nesterov, one whose third step wraps round."""
    return [StepCase(**case) for case in json.loads(CASES_FILE.read_text())]


# --- the generator ----------------------------------------------------------------------------------------------

def mix(z):
    """splitmix64's finaliser, of an array of uint64."""
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK64
    return h


def bits(seed, name, count):
    """The first `count` numbers of a stream, uint64."""
    stream = int(mix(numpy.array([seed], numpy.uint64))[0]) ^ fnv1a64(name)
    i = numpy.arange(1, count + 1, dtype=numpy.uint64)
    return mix(numpy.uint64(stream) + i * numpy.uint64(GOLDEN_GAMMA))


def unit(seed, name, shape):
    return (2.0 * ((bits(seed, name, math.prod(shape)) >> numpy.uint64(11)) * 2.0**-53) - 1.0).reshape(shape)


def to_f32(values):
    return torch.from_numpy(values.astype(numpy.float32))


def initial_weights(case):
    """The state_dict, float32."""
    def value(name, like):
        part, kind = name.split(".")[-2:]
        if kind == "num_batches_tracked":
            return torch.tensor(0)
        if part.startswith("bn"):
            centre, spread = {"weight": (1, 0.25), "bias": (0, 0.25), "running_mean": (0, 0.25), "running_var": (1, 0.5)}[kind]
        else:
            gain = 1 if part == "fc" else 6
            centre, spread = 0, 0.25 if kind == "bias" else math.sqrt(gain / math.prod(like.shape[1:]))
        return to_f32(centre + spread * unit(case.seed, name, like.shape))

    return {name: value(name, like) for name, like in ResNet9(case.width).state_dict().items()}


def batch_file(case):
    """Images float32 and labels int64 of all rows."""
    def image(row, nudge):
        shape = (3, 32, 32)
        return to_f32(math.sqrt(3) * unit(case.seed, f"image.{row}", shape) + NUDGE * unit(nudge, f"nudge.{row}", shape))

    labels = bits(case.seed, "labels", len(case.nudges)) % numpy.uint64(CLASSES)
    return torch.stack([image(row, nudge) for row, nudge in enumerate(case.nudges)]), torch.from_numpy(labels.astype(numpy.int64))


# --- the replay -------------------------------------------------------------------------------------------------

def build(case, dtype):
    """The network with its initial weights, and its optimiser."""
    net = ResNet9(case.width)
    net.load_state_dict(initial_weights(case), strict=True)
    net.to(dtype)
    return net, sgd(net, case.lr, case.momentum, case.weight_decay, case.nesterov)


def train_step(net, optimiser, images, labels):
    """Returns loss and logits; leaves the gradients in the parameters."""
    logits = net(images.to(next(net.parameters()).dtype))
    loss = F.cross_entropy(logits, labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach(), logits.detach()


def replay(case, dtype=torch.float64):
    """{name: tensor} as `cugrad step` writes it."""
    images, labels = batch_file(case)
    net, optimiser = build(case, dtype)
    out, losses = {}, []
    for step in range(case.steps):
        loss, logits = train_step(net, optimiser, images[case.rows_of(step)], labels[case.rows_of(step)])
        losses.append(loss)
        if step == 0:
            out["logits0"] = logits
            out |= {f"grad.{name}": p.grad.clone() for name, p in net.named_parameters()}
    out["loss"] = torch.stack(losses)
    out |= {f"final.{name}": value for name, value in net.state_dict().items()}
    net.eval()
    with torch.no_grad():
        out["eval_logits"] = net(images[case.rows_of(0)].to(dtype))
    return out


# --- the comparison ---------------------------------------------------------------------------------------------

def sketch(tensor):
    """The norm and the eight signed sums."""
    flat = tensor.detach().double().flatten().numpy()

    def signs(j):
        return 1.0 - 2.0 * (bits(0, f"sketch.{j}", flat.size) >> numpy.uint64(63)).astype(numpy.float64)

    dots = [math.fsum(signs(j) * flat) for j in range(SKETCH_SIGNS)]
    return torch.tensor([math.sqrt(math.fsum(flat * flat)), *dots], dtype=torch.float64)


def group_of(name):
    kind, _, rest = name.partition(".")
    if kind == "grad":
        return "zero grad" if rest in ZERO_GRADIENTS else "grad"
    if kind == "final":
        buffer = rest.split(".")[-1] in ("running_mean", "running_var", "num_batches_tracked")
        return "final buffers" if buffer else "final params"
    return kind


def error_of(name, got, expected):
    """Relative L2 error; the largest absolute value where the truth is zero.  NaN counts as infinite."""
    if got.shape != expected.shape:
        raise SystemExit(f"{name}: shape {list(got.shape)}, expected {list(expected.shape)}")
    got, expected = got.double(), expected.double()
    error = got.abs().max() if group_of(name) == "zero grad" else (got - expected).norm() / expected.norm()
    return error.item() if error.isfinite() else math.inf


def compare(got, expected):
    """{group: (worst error, name of its tensor)}; every expected tensor must be there and no other."""
    if got.keys() != expected.keys():
        raise SystemExit(f"missing tensors: {sorted(expected.keys() - got.keys())}; "
                         f"unexpected: {sorted(got.keys() - expected.keys())}")
    worst = dict.fromkeys(GROUPS, (-1.0, ""))
    for name in expected:
        group = group_of(name)
        worst[group] = max(worst[group], (error_of(name, got[name], expected[name]), name))
    return worst


# --- rounding and decisions -------------------------------------------------------------------------------------

def windows(module, x):
    """The inputs of each pooling window, [N, C, windows, inputs of one]."""
    k, (n, c, h, w) = module.kernel_size, x.shape
    return x.reshape(n, c, h // k, k, w // k, k).transpose(3, 4).reshape(n, c, -1, k * k)


def decisions(module, x):
    return windows(module, x).argmax(-1) if isinstance(module, nn.MaxPool2d) else x > 0


def distance(module, x):
    """How far each decision is from the other one, [N, C, ...]."""
    if isinstance(module, nn.ReLU):
        return x.abs()
    first, second = windows(module, x).topk(2).values.unbind(-1)
    return (first - second) / math.sqrt(2)  # two values, each with its rounding error


def watched_forward(net, images):
    """[(module, input)] of every decision in train mode; the BN buffers are left as they were."""
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    inputs = []
    handles = [module.register_forward_pre_hook(lambda module, args: inputs.append((module, args[0])))
               for module in net.modules() if isinstance(module, (nn.ReLU, nn.MaxPool2d))]
    with torch.no_grad():
        net(images.to(next(net.parameters()).dtype))
    for handle in handles:
        handle.remove()
    net.load_state_dict(buffers, strict=False)
    return inputs


def channel_errors(inputs32, inputs64):
    """The float32 error (root mean square) of each channel, [C, 1], for each decision."""
    return [(a - b).square().mean((0, 2, 3)).sqrt()[:, None] for (_, a), (_, b) in zip(inputs32, inputs64)]


def margins(inputs64, errors):
    """The smallest margin of each image: a decision's distance from the other one in units of its channel's error."""
    smallest = [(distance(module, x).flatten(2) / error).amin((1, 2)) for (module, x), error in zip(inputs64, errors)]
    return torch.stack(smallest).amin(0)


def verify_decisions(case):
    """[(decisions that differ between PyTorch's float32 and float64, smallest margin)] of each step."""
    images, labels = batch_file(case)
    pair = [build(case, dtype) for dtype in (torch.float32, torch.float64)]
    report = []
    for step in range(case.steps):
        x, y = images[case.rows_of(step)], labels[case.rows_of(step)]
        inputs32, inputs64 = (watched_forward(net, x) for net, _ in pair)
        flips = sum((decisions(*a) != decisions(*b)).sum().item() for a, b in zip(inputs32, inputs64))
        report.append((flips, margins(inputs64, channel_errors(inputs32, inputs64)).min().item()))
        for net, optimiser in pair:
            train_step(net, optimiser, x, y)
    return report
