"""The yardstick: cugrad's network, recipe and data, written a second time in PyTorch.

Everything here follows the project's DESIGN.md, independently of the Rust code; the other scripts of this
folder import it to hold cugrad to PyTorch.  PyTorch is no dependency of the project itself.

  ResNet9                      the network, with the state_dict names of cugrad's weight files
  sgd, OneCycle                the optimiser and the learning-rate schedule
  load_cifar10                 the cifar-10-batches-bin layout
  augment, normalise           crop, flip, cutout on the pixels; then channel means and deviations
"""
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
RECORD_BYTES = 1 + 3 * 32 * 32
RECORDS_PER_FILE = 10_000
TRAIN_FILES = [f"data_batch_{i}.bin" for i in range(1, 6)]
TEST_FILES = ["test_batch.bin"]
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
CROP_PADDING = 4
CUTOUT_SIZE = 8


# --- the network ------------------------------------------------------------------------------------------------

class Residual(nn.Module):
    """Two times [conv3x3 without bias, BN, ReLU], the channels unchanged."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(x)))


class Stage(nn.Module):
    """conv3x3 with bias, max pool 2 (but in prep), BN, ReLU; then, if it has one, plus its residual branch."""

    def __init__(self, c_in, c_out, pool=True, residual=False):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.bn = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU()
        if residual:
            self.res = Residual(c_out)

    def forward(self, x):
        x = self.relu(self.bn(self.pool(self.conv(x))))
        return x + self.res(x) if hasattr(self, "res") else x


class ResNet9(nn.Module):
    """6,574,090 parameters at width 64.  Input [N,3,32,32], output [N,10] logits."""

    def __init__(self, width=64):
        super().__init__()
        self.prep = Stage(3, width, pool=False)
        self.layer1 = Stage(width, 2 * width, residual=True)
        self.layer2 = Stage(2 * width, 4 * width)
        self.layer3 = Stage(4 * width, 8 * width, residual=True)
        self.pool = nn.MaxPool2d(4)
        self.fc = nn.Linear(8 * width, CLASSES)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return self.fc(self.pool(x).flatten(1))


# --- the recipe -------------------------------------------------------------------------------------------------

def sgd(net, lr, momentum=0.9, weight_decay=5e-4, nesterov=False):
    """SGD with weight decay on every parameter, biases and BN's included."""
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


class OneCycle:
    """Learning rate of step t: lr_min at 0, lr_max at the peak epoch, lr_min at the end, linear in t between."""

    def __init__(self, lr_min, lr_max, peak_epoch, epochs, steps_per_epoch):
        self.lr = [lr_min, lr_max, lr_min]
        self.epoch = [0, peak_epoch, epochs]
        self.steps_per_epoch = steps_per_epoch

    def at(self, step):
        return float(numpy.interp(step / self.steps_per_epoch, self.epoch, self.lr))


# --- the data ---------------------------------------------------------------------------------------------------

def load_cifar10(data_dir, train, limit=None):
    """(images uint8 [N,3,32,32], labels int64 [N]) of the first `limit` images.

    `data_dir` is the folder cifar-10-batches-bin or the one that holds it.
    """
    root = Path(data_dir)
    if (root / "cifar-10-batches-bin").is_dir():
        root /= "cifar-10-batches-bin"
    records = []
    for name in TRAIN_FILES if train else TEST_FILES:
        raw = numpy.fromfile(root / name, dtype=numpy.uint8)
        if raw.size != RECORDS_PER_FILE * RECORD_BYTES:
            raise SystemExit(f"{root / name}: {raw.size} bytes, expected {RECORDS_PER_FILE * RECORD_BYTES}")
        records.append(raw.reshape(-1, RECORD_BYTES))
        if limit is not None and len(records) * RECORDS_PER_FILE >= limit:
            break
    records = torch.from_numpy(numpy.concatenate(records)[:limit])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].long()


def augment(images, generator):
    """Random crop of the black-padded image, flip with p = 1/2, one black hole.  uint8 in, uint8 out."""
    n = len(images)

    def choose(below):
        return torch.randint(below, (n, 1), generator=generator)

    top, left, flip = choose(2 * CROP_PADDING + 1), choose(2 * CROP_PADDING + 1), choose(2)
    hole_y, hole_x = choose(32), choose(32)

    at = torch.arange(32)
    rows = top + at
    cols = left + torch.where(flip == 1, 31 - at, at)
    padded = F.pad(images, [CROP_PADDING] * 4)
    out = padded[torch.arange(n)[:, None, None, None], torch.arange(3)[:, None, None], rows[:, None, :, None], cols[:, None, None, :]]

    def inside(centre):  # centre - 4 .. centre + 3, clipped by the image
        return (at >= centre - CUTOUT_SIZE // 2) & (at < centre + CUTOUT_SIZE // 2)

    hole = inside(hole_y)[:, None, :, None] & inside(hole_x)[:, None, None, :]
    return out.masked_fill(hole, 0)


def normalise(images):
    """uint8 pixels to (pixel / 255 - mean) / std, float32."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return (images.float() / 255 - mean) / std
