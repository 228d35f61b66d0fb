"""Our benchmark's JSON beside the peer's: which rows are the same work, and how the times compare."""
import json


def load(path):
    with open(path) as file:
        return json.load(file)


def matches(ours, peer):
    """(row of ours, row of the peer) for each operation, pass and rung that both measured."""
    theirs = {(row["op"], row["pass"]): row for row in peer["ops"]}
    keyed = [(row, theirs.get((row["op"], row["pass"]))) for row in ours["ops"]]
    return [(row, other) for row, other in keyed if other is not None]


def best_step(steps):
    """(name, step) of the fastest way to run a training step; a way that failed does not count."""
    working = {name: step for name, step in steps.items() if "ms" in step}
    return min(working.items(), key=lambda item: item[1]["ms"]) if working else None


def name(row):
    rung = row.get("rung", "production")
    return row["op"] if rung == "production" else f"{row['op']} ({rung})"


def same_work(ours, peer):
    """Raises ValueError if the two files cannot be compared."""
    if ours["batch"] != peer["batch"]:
        raise ValueError(f"ours is at batch {ours['batch']}, the peer's at {peer['batch']}: run both at one")


def heading(ours, peer):
    ours_type, peer_type = (x["dtype"].removeprefix("torch.") for x in (ours, peer))
    commit = ours.get("commit") or "unknown commit"
    return (f"{ours['device']}, batch {ours['batch']}: cugrad {ours['version']} ({commit}) in {ours_type}, "
            f"PyTorch {peer['torch']} in {peer_type}")


def text(ours, peer):
    lines = [heading(ours, peer), "", f"{'op':34s} {'pass':9s} {'ours us':>12s} {'peer us':>12s} {'ours/peer':>10s}"]
    for row, other in matches(ours, peer):
        ratio = row["us"] / other["us"]
        lines.append(f"{name(row):34s} {row['pass']:9s} {row['us']:12.1f} {other['us']:12.1f} {ratio:10.2f}")
    lines += ["", *(f"{line[0]:34s} {line[1]:>14s} {line[2]:>14s} {line[3]:>8s}" for line in totals(ours, peer))]
    return "\n".join(lines)


def totals(ours, peer):
    """(what, ours, the peer's, ratio) of the training step and the ceilings."""
    lines = []
    mine, theirs = best_step(ours["step"]), best_step(peer["step"])
    if mine and theirs:
        label = f"training step ({mine[0]}; {theirs[0]})"
        (_, mine), (_, theirs) = mine, theirs
        lines.append((label, f"{mine['ms']:.2f} ms", f"{theirs['ms']:.2f} ms", f"{mine['ms'] / theirs['ms']:.2f}"))
        rates = [step["images_per_s"] for step in (mine, theirs)]
        lines.append(("images/s", f"{rates[0]:,.0f}", f"{rates[1]:,.0f}", f"{rates[0] / rates[1]:.2f}"))
    for key, unit in (("matmul_tflops", "TFLOP/s"), ("copy_tb_s", "TB/s")):
        if key in ours["ceilings"] and key in peer["ceilings"]:
            a, b = ours["ceilings"][key], peer["ceilings"][key]
            lines.append((f"ceiling {key.split('_')[0]}", f"{a:.3g} {unit}", f"{b:.3g} {unit}", f"{a / b:.2f}"))
    return lines


def markdown(ours, peer):
    lines = [heading(ours, peer) + ".", "", "| | cugrad | PyTorch | ratio |", "|---|--:|--:|--:|"]
    lines += [f"| {what} | {a} | {b} | {ratio} |" for what, a, b, ratio in totals(ours, peer)]
    production = [pair for pair in matches(ours, peer) if pair[0].get("rung", "production") == "production"]
    if production:
        lines += ["", "| layer | pass | cugrad µs | PyTorch µs | ratio |", "|---|---|--:|--:|--:|"]
    for row, other in production:
        lines.append(f"| {row['op']} | {row['pass']} | {row['us']:.1f} | {other['us']:.1f} | {row['us'] / other['us']:.2f} |")
    return "\n".join(lines)
