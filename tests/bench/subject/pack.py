"""The same network with eight bits for each weight and a scale for each channel: a quarter of the size.

    pack.py WHOLE.onnx FILE.onnx

Engines make floats of them when they load the file; it is calculated in floats.
"""

import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Smaller ones are not worth a node.
LEAST = 512


def main(given, taken):
    """Packs the weights of convolutions; biases stay as they are."""
    model = onnx.load(given)
    graph = model.graph
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    nodes = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.name not in weights or values.size < LEAST:
            continue
        scales = np.abs(values).reshape(len(values), -1).max(1).clip(1e-12) / 127
        packed = np.rint(values / scales.reshape(-1, 1, 1, 1)).astype(np.int8)
        graph.initializer.remove(tensor)
        parts = {f"{tensor.name}.packed": packed, f"{tensor.name}.scales": scales.astype(np.float32)}
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in parts.items())
        nodes.append(helper.make_node("DequantizeLinear", list(parts), [tensor.name], axis=0))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    model.doc_string = model.producer_name = model.producer_version = ""
    onnx.checker.check_model(model)
    onnx.save(model, taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
