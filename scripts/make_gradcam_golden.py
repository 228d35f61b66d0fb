#!/usr/bin/env python3
"""Makes the golden file that the test of Grad-CAM holds the engine to: what PyTorch's hooks give, in float64.

    scripts/make_gradcam_golden.py      # writes tests/golden/grad_cam.safetensors

The network is narrow and untrained, with running statistics that do something; all its state is float32, so that the
file is small and float64 takes it exactly.  A forward hook keeps each layer's output, a hook on that keeps its
gradient.  The file holds

    state.<name>                 the state_dict, float32 (num_batches_tracked: int64)
    x                            the images, normalised, [N,32,32,3], float32
    classes                      the class that is explained for each image, int64 [N]
    logits                       [N,10]
    <layer>.weights              the channels' mean gradients [N,K]
    <layer>.map                  ReLU of the weighted sum of channels [N,S,S]
    <layer>.heat                 the map over its maximum, brought to 32x32 by F.interpolate, [N,32,32]

float64 where nothing is said.
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from torch_net import ResNet9, normalise

LAYERS = ["prep", "layer1", "layer2", "layer3"]
WIDTH, IMAGES, SEED = 2, 3, 11
OUT = Path(__file__).resolve().parent.parent / "tests/golden/grad_cam.safetensors"


def untrained(generator):
    """A network in eval mode whose every parameter and statistic is other than the default."""
    net = ResNet9(WIDTH).eval()
    for name, t in net.state_dict().items():
        drawn = torch.randn(t.shape, generator=generator)
        if name.endswith("running_var"):
            t.copy_(0.5 + drawn.abs())
        elif name.endswith("num_batches_tracked"):
            t.fill_(7)
        elif t.dim() > 1:
            t.copy_(drawn * (2 / t[0].numel()) ** 0.5)
        else:
            t.copy_(drawn * 0.3 + (1 if "bn" in name and name.endswith("weight") else 0))
    return net


def grad_cam(net, x, classes):
    """The logits, and for each layer its weights, map and heat map, by hooks."""
    outputs, gradients = {}, {}

    def keep(name):
        def hook(module, inputs, output):
            outputs[name] = output
            output.register_hook(lambda gradient: gradients.update({name: gradient}))
        return hook

    handles = [getattr(net, name).register_forward_hook(keep(name)) for name in LAYERS]
    logits = net(x)
    logits[torch.arange(len(x)), classes].sum().backward()
    for handle in handles:
        handle.remove()
    results = {"logits": logits}
    for name in LAYERS:
        weights = gradients[name].mean(dim=(2, 3))
        cam = F.relu((weights[:, :, None, None] * outputs[name]).sum(dim=1))
        share = cam / cam.amax(dim=(1, 2), keepdim=True)
        heat = F.interpolate(share[:, None], size=32, mode="bilinear", align_corners=False)[:, 0]
        results |= {f"{name}.weights": weights, f"{name}.map": cam, f"{name}.heat": heat}
    return results


def main():
    generator = torch.Generator().manual_seed(SEED)
    net = untrained(generator)
    state = {f"state.{name}": t.clone() for name, t in net.state_dict().items()}
    x = normalise(torch.randint(256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8))
    classes = torch.tensor([0, 4, 9])
    results = {name: t.detach() for name, t in grad_cam(net.double(), x.double(), classes).items()}
    for name in LAYERS:
        if not (results[f"{name}.map"].amax(dim=(1, 2)) > 0).all():
            raise SystemExit(f"{name}: a map is zero everywhere; choose another SEED")
    tensors = state | results | {"x": x.permute(0, 2, 3, 1), "classes": classes}
    save_file({name: t.contiguous() for name, t in tensors.items()}, OUT, {"torch": torch.__version__})
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
