"""The learned weights as an ONNX file, batch norms folded into what is before them.

    export.py WEIGHTS.pt FILE.onnx
"""

import sys

import torch
from torch.nn import functional

from model import SIDE, Subject


class Mask(torch.nn.Module):
    """Opacity (0 to 1), as large as what was given."""

    def __init__(self, weights):
        super().__init__()
        self.net = Subject()
        self.net.load_state_dict(torch.load(weights))

    def forward(self, photo):
        logits = functional.interpolate(self.net(photo), scale_factor=2.0, mode="bilinear", align_corners=False)
        return torch.sigmoid(logits)


if __name__ == "__main__":
    given = torch.zeros(1, 3, SIDE, SIDE)
    torch.onnx.export(Mask(sys.argv[1]).eval(), given, sys.argv[2], opset_version=13,
                      input_names=["photo"], output_names=["mask"])
