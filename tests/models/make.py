#!/usr/bin/env python3
"""Writes ONNX files for the tests. Needs the package `onnx`; weights come from a seed.

  make.py small FOLDER    the two models of this folder, a few hundred bytes each
  make.py u2netp FILE     a network in the shape of u2netp (1.1 million random weights)
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes in the order in which they are added."""

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def add(self, kind, inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values):
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def conv(self, x, inside, outside, size=3, dilation=1):
        scale = np.sqrt(2.0 / (inside * size * size))
        shape = (outside, inside, size, size)
        weight = self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))
        bias = self.constant((self.random.standard_normal(outside) * 0.05).astype(np.float32))
        pad = [dilation * (size // 2)] * 4
        return self.add("Conv", [x, weight, bias], pads=pad, dilations=[dilation] * 2)

    def save(self, path, shape, outputs):
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        plane = [shape[0], 1, *shape[2:]]
        graph = helper.make_graph(
            self.nodes,
            "test",
            [value("photo", shape)],
            [value(name, plane) for name in outputs],
            self.weights,
        )
        opset = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def colourful(path, shape):
    """Opaque where colours differ: ten times (|red - green| + |green - blue|), at most 1."""
    graph = Graph()
    differences = np.zeros((2, 3, 1, 1), np.float32)
    differences[0, :, 0, 0], differences[1, :, 0, 0] = (10, -10, 0), (0, 10, -10)
    x = graph.add("Abs", [graph.add("Conv", ["photo", graph.constant(differences)])])
    sum_up = graph.constant(np.ones((1, 2, 1, 1), np.float32))
    low, high = (graph.constant(np.float32(value)) for value in (0.5, 1.5))
    x = graph.add("Clip", [graph.add("Conv", [x, sum_up]), low, high])
    x = graph.add("Sub", [x, low])
    graph.save(path, shape, [x])


class U2netP(Graph):
    """The graph of https://github.com/xuebinqin/U-2-Net (U2NETP), norms folded."""

    def layer(self, x, inside, outside, dilation=1):
        return self.add("Relu", [self.conv(x, inside, outside, dilation=dilation)])

    def pool(self, x):
        return self.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def larger(self, x, channels, side):
        sizes = self.constant(np.array([1, channels, side, side], np.int64))
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", [x, "", "", sizes], **how)

    def join(self, *parts):
        return self.add("Concat", list(parts), axis=1)

    def block(self, x, depth, inside, middle, outside, side):
        """An RSU of this depth: down, a dilated bottom, and up again."""
        first = self.layer(x, inside, outside)
        down, sides = [self.layer(first, outside, middle)], [side]
        for _ in range(depth - 2):
            sides.append((sides[-1] + 1) // 2)
            down.append(self.layer(self.pool(down[-1]), middle, middle))
        up = self.layer(down[-1], middle, middle, dilation=2)
        for level in reversed(range(depth - 1)):
            last = level == 0
            up = self.layer(self.join(up, down[level]), 2 * middle, outside if last else middle)
            if not last:
                up = self.larger(up, middle, sides[level - 1])
        return self.add("Add", [up, first])

    def flat(self, x, inside, middle, outside):
        """RSU-4F: dilations in place of smaller sizes."""
        first = self.layer(x, inside, outside)
        one = self.layer(first, outside, middle)
        two = self.layer(one, middle, middle, 2)
        three = self.layer(two, middle, middle, 4)
        bottom = self.layer(three, middle, middle, 8)
        up = self.layer(self.join(bottom, three), 2 * middle, middle, 4)
        up = self.layer(self.join(up, two), 2 * middle, middle, 2)
        return self.add("Add", [self.layer(self.join(up, one), 2 * middle, outside), first])

    def build(self, path):
        sides = [320, 160, 80, 40, 20, 10]
        x, down = "photo", []
        for level, side in enumerate(sides):
            inside = 3 if level == 0 else 64
            if level < 4:
                x = self.block(x, 7 - level, inside, 16, 64, side)
            else:
                x = self.flat(x, inside, 16, 64)
            down.append(x)
            x = self.pool(x)
        up = [down[5]]
        for level in reversed(range(5)):
            x = self.join(self.larger(up[0], 64, sides[level]), down[level])
            if level == 4:
                x = self.flat(x, 128, 16, 64)
            else:
                x = self.block(x, 7 - level, 128, 16, 64, sides[level])
            up.insert(0, x)
        maps = [self.conv(x, 64, 1) for x in up]
        maps = maps[:1] + [self.larger(x, 1, 320) for x in maps[1:]]
        all_of_them = self.conv(self.join(*maps), 6, 1, size=1)
        outputs = [self.add("Sigmoid", [x]) for x in [all_of_them, *maps]]
        self.save(path, [1, 3, 320, 320], outputs)


def main():
    match sys.argv[1:]:
        case ["small", folder]:
            folder = pathlib.Path(folder)
            colourful(folder / "any-size.onnx", [1, 3, "height", "width"])
            colourful(folder / "fixed-size.onnx", [1, 3, 64, 64])
        case ["u2netp", path]:
            U2netP().build(path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
