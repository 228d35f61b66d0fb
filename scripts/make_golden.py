#!/usr/bin/env python3
"""Makes the golden files that the tests hold `cugrad step` to: what PyTorch computes, in float64.

    scripts/make_golden.py              # writes tests/golden/step_w<width>_b<batch>.safetensors
    scripts/make_golden.py --search     # first finds the images again (torch_step.py, "Rounding and decisions")

What the cases are and how their inputs are generated stands in torch_step.py.  A golden file holds the results:

    loss, logits0, eval_logits                  whole
    grad.<name>, final.<name>                   whole in the file of the smallest case
    sketch.grad.<name>, sketch.final.<name>     instead in the others: norm and eight signed sums (torch_step.py)
    final.<name>.num_batches_tracked            int64, whole in all
    sketch.initial.<name>, sketch.images        of the generated inputs: whether a generator is the same
    labels                                      int64

all float64 but the integers, without the gradients that are zero.  Its metadata has one key, `case`, an object in
JSON: width, batch, nudges (one for each row of the batch file), nesterov, seed, steps, lr, momentum, weight_decay,
zero_gradients (names), margins (one for each step), torch (the version).
"""
import argparse
import dataclasses
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from torch_step import (CASES_FILE, MARGIN, ZERO_GRADIENTS, StepCase, batch_file, build, channel_errors, initial_weights,
                        load_cases, margins, replay, sketch, train_step, verify_decisions, watched_forward)

WHOLE = "step_w8_b4"
SEARCH_MARGIN = 1.5 * MARGIN
ROUNDS = 100


def search(case):
    """The case with the first seed and nudges that clear every step."""
    while (nudges := search_nudges(case)) is None:
        case = dataclasses.replace(case, seed=case.seed + 1)
    return dataclasses.replace(case, nudges=nudges)


def search_nudges(case):
    """Nudges for which every image of every step clears SEARCH_MARGIN, or None."""
    case = dataclasses.replace(case, nudges=[0] * len(case.nudges))
    pair = [build(case, dtype) for dtype in (torch.float32, torch.float64)]
    fixed = set()  # rows of earlier steps
    for step in range(case.steps):
        rows, errors = case.rows_of(step), None
        for rounds in range(ROUNDS):
            images, labels = batch_file(case)
            inputs64 = watched_forward(pair[1][0], images[rows])
            if errors is None:  # a nudge does not change them
                errors = channel_errors(watched_forward(pair[0][0], images[rows]), inputs64)
            close = [row for row, margin in zip(rows, margins(inputs64, errors)) if margin < SEARCH_MARGIN]
            if not close or not fixed.isdisjoint(close):
                break
            for row in close:
                case.nudges[row] += 1
        print(f"{case.name} seed {case.seed} step {step}: {len(close)} images too close after {rounds} rounds", file=sys.stderr)
        if close:
            return None
        fixed.update(rows)
        for net, optimiser in pair:
            train_step(net, optimiser, images[rows], labels[rows])
    return case.nudges


def golden(case):
    """The tensors of the golden file."""
    images, labels = batch_file(case)
    inputs = {"images": images} | {f"initial.{name}": tensor for name, tensor in initial_weights(case).items()}
    out = {"labels": labels} | {f"sketch.{name}": sketch(tensor) for name, tensor in inputs.items() if tensor.is_floating_point()}
    for name, tensor in replay(case).items():
        kind, _, parameter = name.partition(".")
        if kind == "grad" and parameter in ZERO_GRADIENTS:
            continue
        whole = case.name == WHOLE or kind not in ("grad", "final") or not tensor.is_floating_point()
        out[name if whole else f"sketch.{name}"] = tensor.contiguous() if whole else sketch(tensor)
    return out


def metadata(case, checked):
    made = {"zero_gradients": ZERO_GRADIENTS, "margins": [round(margin, 1) for _, margin in checked], "torch": torch.__version__}
    return {"case": json.dumps(dataclasses.asdict(case) | made)}  # one key: several would be stored in random order


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--search", action="store_true", help="find seeds and nudges anew and write them to step_cases.json")
    p.add_argument("--out", type=Path, default=CASES_FILE.parent, help="the folder to write to (tests/golden)")
    args = p.parse_args()

    cases = load_cases()
    if args.search:
        cases = [search(dataclasses.replace(case, seed=1)) for case in cases]
        lines = ",\n".join(json.dumps(dataclasses.asdict(case)) for case in cases)
        CASES_FILE.write_text(f"[\n{lines}\n]\n")
    for case in cases:
        checked = verify_decisions(case)
        if any(flips or margin < MARGIN for flips, margin in checked):
            raise SystemExit(f"{case.name}: (flips, margin) of the steps are {checked}, "
                             f"expected no flip and a margin of {MARGIN} at least; run with --search")
        path = args.out / f"{case.name}.safetensors"
        save_file(golden(case), path, metadata(case, checked))
        margins_text = ", ".join(f"{margin:.1f}" for _, margin in checked)
        print(f"{path.name}: {path.stat().st_size} bytes, margins {margins_text}, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
