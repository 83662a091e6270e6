"""Learns which pixels are the subject, from pictures that compose.py makes.

    train.py FOLDER STEPS

Begins with an encoder that knows ImageNet, ends with FOLDER/weights.pt. Every 150 steps it tells IoU / mean absolute
error on tests/photos, which nothing is learned or chosen from.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from compose import Composer
from model import DEVIATION, MEAN, SIDE, Subject

PHOTOS = Path(__file__).resolve().parents[2] / "photos"
BATCH, WARMING, TELLING = 8, 100, 150
RATE_ENCODER, RATE_REST = 2e-4, 2e-3
# What is near an outline counts three times.
OUTLINE, NEAR = 2, 9


class Pictures(IterableDataset):
    """Pictures without end."""

    def __init__(self, folder):
        self.folder = folder

    def __iter__(self):
        colours = {"things": "RGBA", "people": "RGBA", "leaves": "RGBA"}
        names = ("things", "people", "leaves", "walls", "places", "textures")
        composer = Composer({name: stock(self.folder / name, colours.get(name, "RGB")) for name in names}, SIDE, 1)
        while True:
            picture, mask = composer.picture()
            yield torch.from_numpy(picture.copy()).permute(2, 0, 1), torch.from_numpy(mask.copy())


def stock(folder, colours):
    """All pictures of a folder, no larger than they are needed."""
    pictures = []
    for path in sorted(folder.iterdir()):
        picture = Image.open(path).convert(colours)
        if colours == "RGB":
            picture.thumbnail((520, 520))
        elif folder.name != "people":
            # Stamps have a bright rim.
            picture.putalpha(picture.getchannel("A").point(lambda value: max(0, (value - 80) * 255 // 175)))
        pictures.append(picture)
    return pictures


def fed(pictures):
    """Bytes as the network takes them."""
    return (pictures.float() / 255 - MEAN) / DEVIATION


def loss(logits, masks):
    """Cross-entropy, more of it at outlines, and what the two do not have in common."""
    logits = functional.interpolate(logits, size=masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    wanted = masks.float() / 255
    widest = functional.max_pool2d(wanted[:, None], NEAR, 1, NEAR // 2)
    least = -functional.max_pool2d(-wanted[:, None], NEAR, 1, NEAR // 2)
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    found = torch.sigmoid(logits)
    both = (found * wanted).sum((1, 2))
    either = (found + wanted - found * wanted).sum((1, 2))
    return (each * (1 + OUTLINE * (widest - least)[:, 0])).mean() + (1 - (both + 1) / (either + 1)).mean()


def scores(net):
    """On photos that it has never seen."""
    net.eval()
    told = []
    for path in sorted(PHOTOS.glob("*.mask.png")):
        name = path.name.removesuffix(".mask.png")
        subject = np.asarray(Image.open(path).convert("L")) > 127
        photo = Image.open(PHOTOS / f"{name}.jpg").convert("RGB").resize((SIDE, SIDE), Image.LANCZOS)
        with torch.no_grad():
            logits = net(fed(torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)[None]))
        logits = functional.interpolate(logits, size=subject.shape, mode="bilinear", align_corners=False)
        found = torch.sigmoid(logits)[0, 0].numpy()
        union = ((found > 0.5) & subject).sum() / ((found > 0.5) | subject).sum()
        told.append(f"{name} {union:.3f}/{np.abs(found - subject).mean():.3f}")
    net.train()
    return "  ".join(told)


def main(folder, steps):
    """Learns, tells, writes."""
    torch.manual_seed(1)
    net = Subject()
    fresh = set(net.load_encoder(next((folder / "encoder").glob("*/models/*.pth"))))
    parts = {True: [], False: []}
    for name, weights in net.named_parameters():
        parts[name in fresh].append(weights)
    rates = [RATE_ENCODER, RATE_REST]
    groups = [{"params": parts[False]}, {"params": parts[True]}]
    optimiser = torch.optim.AdamW(groups, lr=RATE_REST, weight_decay=1e-3)
    started, mean = time.time(), None
    net.train()
    # What ImageNet says of each channel's range is better than eight pictures' word for it.
    known = [norm for name, norm in net.named_modules()
             if isinstance(norm, torch.nn.BatchNorm2d) and f"{name}.weight" not in fresh]
    for step, (pictures, masks) in zip(range(steps), DataLoader(Pictures(folder), BATCH, num_workers=1)):
        share = min(1, (step + 1) / WARMING) * (1 + np.cos(np.pi * step / steps)) / 2
        for group, rate in zip(optimiser.param_groups, rates):
            group["lr"] = rate * share + 1e-6
        for norm in known:
            norm.eval()
        wrong = loss(net(fed(pictures)), masks)
        optimiser.zero_grad()
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        mean = wrong.item() if mean is None else 0.98 * mean + 0.02 * wrong.item()
        if step % 20 == 0:
            print(f"step {step} of {steps}, {time.time() - started:.0f} s, loss {mean:.3f}", flush=True)
        if (step + 1) % TELLING == 0:
            print(f"     {scores(net)}", flush=True)
            torch.save(net.state_dict(), folder / "weights.pt")
    print(f"     {scores(net)}", flush=True)
    torch.save(net.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
