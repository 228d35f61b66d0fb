"""run_onnx.py MODEL IMAGES OUT: checks an ONNX model and runs it in onnxruntime.

IMAGES is a safetensors file; each of its tensors [n,3,32,32] is a batch of its own, whose logits OUT has under
the same name.  Prints what the model says of itself, as JSON.
"""
import json
import sys

import numpy
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

path, images, out = sys.argv[1:]
onnx.checker.check_model(path, full_check=True)
model = onnx.load(path)

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
save_file({name: session.run(["logits"], {"images": x})[0] for name, x in load_file(images).items()}, out)


def extents(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def size(tensor):
    return int(numpy.prod(tensor.dims))


graph = model.graph
print(json.dumps({
    "opset": {o.domain: o.version for o in model.opset_import},
    "ir_version": model.ir_version,
    "inputs": {v.name: extents(v) for v in graph.input},
    "outputs": {v.name: extents(v) for v in graph.output},
    "weights": {t.name: list(t.dims) for t in graph.initializer},
    "used": sorted(name for node in graph.node for name in node.input),
    "metadata": {p.key: json.loads(p.value) for p in model.metadata_props},
}))
