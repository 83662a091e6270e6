"""The network: EfficientNet-Lite0 without its last stage, and a light way back up.

    photo 3 x S x S -> encoder, strides 2 4 8 16 32 -> 48 channels at 32, 16, 8, 4 -> mask 1 x S x S (0 to 1)
"""

import torch
from torch import nn
from torch.nn import functional

# Kernel, stride, times wider inside, channels out, repeats.
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
]
STEM = 32
WIDTH = 48

# Of the pictures that it is given, and how their values from 0 to 1 become its numbers.
SIDE = 256
MEAN, DEVIATION = 0.498, 0.502


class Block(nn.Module):
    """Wider, each channel by itself, narrower; named as in the published weights."""

    def __init__(self, channels, out, kernel, stride, wider):
        super().__init__()
        inner = channels * wider
        self.widens, self.adds = wider != 1, stride == 1 and channels == out
        if self.widens:
            self._expand_conv = nn.Conv2d(channels, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = nn.Conv2d(inner, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, given):
        found = given
        if self.widens:
            found = functional.relu6(self._bn0(self._expand_conv(found)))
        found = functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        return found + given if self.adds else found


class Up(nn.Module):
    """What is known below, twice as large, with what the encoder saw there."""

    def __init__(self, beside):
        super().__init__()
        self.beside = nn.Conv2d(beside, WIDTH, 1)
        self.deep = nn.Conv2d(WIDTH, WIDTH, 5, 1, 2, groups=WIDTH, bias=False)
        self.mix = nn.Conv2d(WIDTH, WIDTH, 1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)

    def forward(self, below, beside):
        below = functional.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
        both = below + self.beside(beside)
        return both + functional.relu(self.norm(self.mix(self.deep(both))))


class Subject(nn.Module):
    """Which pixels are a photo's subject."""

    def __init__(self):
        super().__init__()
        self._conv_stem = nn.Conv2d(3, STEM, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=1e-3)
        blocks, channels = [], STEM
        for kernel, stride, wider, out, repeats in STAGES:
            for index in range(repeats):
                blocks.append(Block(channels, out, kernel, stride if index == 0 else 1, wider))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self.top = nn.Sequential(nn.Conv2d(192, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.whole = nn.Sequential(nn.Conv2d(192, WIDTH, 1), nn.ReLU())
        self.ups = nn.ModuleList([Up(112), Up(40), Up(24), Up(16)])
        self.out = nn.Conv2d(WIDTH, 1, 3, 1, 1)

    def forward(self, photo):
        """Logits at half the photo's sides."""
        found = functional.relu6(self._bn0(self._conv_stem(photo)))
        kept = []
        for index, block in enumerate(self._blocks):
            found = block(found)
            if index in (0, 2, 4, 10):
                kept.append(found)
        below = self.top(found) + self.whole(found.mean((2, 3), keepdim=True))
        for up, beside in zip(self.ups, reversed(kept)):
            below = up(below, beside)
        return self.out(below)

    def load_encoder(self, file):
        """The weights learned from ImageNet; returns the names that are still to be learned."""
        found = torch.load(file, map_location="cpu")
        missing = self.load_state_dict({k: v for k, v in found.items() if k in self.state_dict()}, strict=False)
        return missing.missing_keys
