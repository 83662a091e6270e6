#!/usr/bin/env python3
"""Writes ONNX files for the tests. Needs the package `onnx`; weights come from a seed.

  make.py small FOLDER    the three models of this folder, a few hundred bytes each
  make.py u2netp FILE     a network in the shape of u2netp (1.1 million random weights); also u2net
                          (44 million) and isnet (44 million, 1024 pixels a side)
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

    def conv(self, x, inside, outside, size=3, dilation=1, stride=1):
        scale = np.sqrt(2.0 / (inside * size * size))
        shape = (outside, inside, size, size)
        weight = self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))
        bias = self.constant((self.random.standard_normal(outside) * 0.05).astype(np.float32))
        pad = [dilation * (size // 2)] * 4
        how = {"dilations": [dilation] * 2, "strides": [stride] * 2}
        return self.add("Conv", [x, weight, bias], pads=pad, **how)

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


def moody(path):
    """Looks up in a table of two what a mask's brightness is, and so fails where white is in it."""
    graph = Graph()
    mask = coloured(graph)
    most = graph.add("ReduceMax", ["photo"], axes=[0, 1, 2, 3], keepdims=0)
    twice = graph.add("Mul", [most, graph.constant(np.float32(2))])
    entry = graph.add("Cast", [twice], to=TensorProto.INT64)
    nothing = graph.add("Gather", [graph.constant(np.zeros(2, np.float32)), entry])
    graph.save(path, [1, 3, 64, 64], [graph.add("Add", [mask, nothing])])


def colourful(path, shape):
    graph = Graph()
    graph.save(path, shape, [coloured(graph)])


def coloured(graph):
    """Opaque where colours differ: ten times (|red - green| + |green - blue|), at most 1."""
    differences = np.zeros((2, 3, 1, 1), np.float32)
    differences[0, :, 0, 0], differences[1, :, 0, 0] = (10, -10, 0), (0, 10, -10)
    # rten wants to be told what is usual.
    usual = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4}
    x = graph.add("Abs", [graph.add("Conv", ["photo", graph.constant(differences)], **usual)])
    sum_up = graph.constant(np.ones((1, 2, 1, 1), np.float32))
    low, high = (graph.constant(np.float32(value)) for value in (0.5, 1.5))
    x = graph.add("Clip", [graph.add("Conv", [x, sum_up], **usual), low, high])
    return graph.add("Sub", [x, low])


# For each block from the photo down and up again: channels that come in, inside it, and out.
DOWN = {
    "u2netp": [(3, 16, 64)] + [(64, 16, 64)] * 5,
    "u2net": [(3, 32, 64), (64, 32, 128), (128, 64, 256), (256, 128, 512)] + [(512, 256, 512)] * 2,
    "isnet": [(64, 32, 64), (64, 32, 128), (128, 64, 256), (256, 128, 512)] + [(512, 256, 512)] * 2,
}
UP = {
    "u2netp": [(128, 16, 64)] * 5,
    "u2net": [(128, 16, 64), (256, 32, 64), (512, 64, 128), (1024, 128, 256), (1024, 256, 512)],
}
UP["isnet"] = UP["u2net"]
SIDE = {"u2netp": 320, "u2net": 320, "isnet": 1024}


class Nested(Graph):
    """The graphs of https://github.com/xuebinqin/U-2-Net and .../DIS, norms folded."""

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

    def stage(self, x, level, channels, side):
        if level < 4:
            return self.block(x, 7 - level, *channels, side)
        return self.flat(x, *channels)

    def build(self, name, path):
        whole = SIDE[name]
        x, sides = "photo", [whole]
        if name == "isnet":
            # It begins at half the size.
            x, sides = self.conv(x, 3, 64, stride=2), [whole // 2]
        down = []
        for level, channels in enumerate(DOWN[name]):
            x = self.stage(x, level, channels, sides[-1])
            down.append((x, channels[2]))
            if level < 5:
                x = self.pool(x)
                sides.append((sides[-1] + 1) // 2)
        up = [down[5]]
        for level in reversed(range(5)):
            x, channels = up[0]
            x = self.join(self.larger(x, channels, sides[level]), down[level][0])
            up.insert(0, (self.stage(x, level, UP[name][level], sides[level]), UP[name][level][2]))
        maps = [self.conv(x, channels, 1) for x, channels in up]
        maps = [x if side == whole else self.larger(x, 1, whole) for x, side in zip(maps, sides)]
        if name != "isnet":
            maps.insert(0, self.conv(self.join(*maps), 6, 1, size=1))
        outputs = [self.add("Sigmoid", [x]) for x in maps]
        self.save(path, [1, 3, whole, whole], outputs)


def main():
    match sys.argv[1:]:
        case ["small", folder]:
            folder = pathlib.Path(folder)
            moody(folder / "moody.onnx")
            colourful(folder / "any-size.onnx", [1, 3, "height", "width"])
            colourful(folder / "fixed-size.onnx", [1, 3, 64, 64])
        case [("u2netp" | "u2net" | "isnet") as name, path]:
            Nested().build(name, path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
