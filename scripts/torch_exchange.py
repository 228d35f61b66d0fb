#!/usr/bin/env python3
"""Weights of cugrad's network on PyTorch's side: loads what cugrad saved, saves what cugrad is to load.

  logits WEIGHTS IMAGES OUT   load_state_dict(strict=True) from WEIGHTS; the logits of IMAGES go to OUT
  save WIDTH DIR              a network that PyTorch made and trained for a few steps: DIR/weights.safetensors,
                              and DIR/logits.safetensors with images and the logits that PyTorch gives them
  list WIDTH                  the names, types and shapes of the state_dict, as JSON

All files are safetensors.  `tests/exchange.rs` runs this where PyTorch is installed, and elsewhere relies on
`tests/golden/exchange/`, which is made by

  scripts/torch_exchange.py save 2 tests/golden/exchange
  scripts/torch_exchange.py list 64 > tests/golden/exchange/state_dict.json
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from torch_net import CLASSES, ResNet9, sgd


def logits(weights, images, out):
    state = load_file(weights)
    net = ResNet9(width=len(state["prep.conv.weight"]))
    net.load_state_dict(state, strict=True)
    save_file({"logits": evaluate(net, load_file(images)["images"])}, out)
    print(json.dumps({"parameters": sum(p.numel() for p in net.parameters())}))


def save(width, folder):
    torch.manual_seed(7)
    net = ResNet9(int(width))
    optimizer = sgd(net, 0.01)
    # A few steps, so that batch norm's statistics, scales and shifts are those of no fresh network.
    for _ in range(4):
        images, labels = torch.randn(16, 3, 32, 32), torch.randint(CLASSES, (16,))
        optimizer.zero_grad()
        F.cross_entropy(net.train()(images), labels).backward()
        optimizer.step()
    images = torch.randn(3, 3, 32, 32)
    folder = Path(folder)
    save_file(net.state_dict(), folder / "weights.safetensors", metadata={"format": "pt"})
    save_file({"images": images, "logits": evaluate(net, images)}, folder / "logits.safetensors")


def list_state(width):
    net = ResNet9(int(width))
    lines = [json.dumps([n, str(t.dtype), list(t.shape)]) for n, t in net.state_dict().items()]
    print("[\n" + ",\n".join(lines) + "\n]")


@torch.no_grad()
def evaluate(net, images):
    return net.eval()(images)


if __name__ == "__main__":
    commands = {"logits": logits, "save": save, "list": list_state}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
