"""People and places out of the photos of `npm/`: people/*.png with a mask, places/*.jpg without anybody.

    people.py FOLDER

MediaPipe's model for selfies is the teacher: where it is sure, its mask is taken; where it sees nobody, the photo is
a background; all else is left.
"""

import hashlib
import sys
from pathlib import Path

import mediapipe
import numpy as np
from PIL import Image

from gather import emptied

# Photographs of known people, of which nobody says where they are from; drawings; things.
LEFT_OUT = ("drake", "marc", "camp", "kendall", "avatar", "olu-eletu", "ryan", "eva")
SIDE, LEAST = 640, 140


def main(folder):
    """Sorts each photo once, whatever its size and however often it comes."""
    segment = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    detect = mediapipe.solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.4)
    people, places = (emptied(folder / name) for name in ("people", "places"))
    seen = set()
    for number, path in enumerate(sorted((folder / "npm").rglob("*.jpg"))):
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest in seen or path.stem in LEFT_OUT:
            continue
        seen.add(digest)
        photo = Image.open(path).convert("RGB")
        photo.thumbnail((SIDE, SIDE))
        if min(photo.size) < LEAST:
            continue
        pixels = np.asarray(photo)
        mask = segment.process(pixels).segmentation_mask
        area, unsure = (mask > 0.5).mean(), ((mask > 0.15) & (mask < 0.85)).mean()
        if area < 0.004 and (mask > 0.2).mean() < 0.02:
            photo.save(places / f"{number:03}.jpg", quality=92)
        elif area > 0.07 and unsure < 0.12 * area + 0.02 and detect.process(pixels).detections:
            opacity = (mask * 255).astype(np.uint8)
            Image.fromarray(np.dstack([pixels, opacity])).save(people / f"{number:03}.png")
    print(f"{len(list(people.iterdir()))} people, {len(list(places.iterdir()))} places")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
