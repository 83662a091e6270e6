"""Things, leaves and backgrounds out of Debian's packages: things/*.png, leaves/*.png, walls/*.jpg, textures/*.jpg.

    gather.py FOLDER
"""

import random
import shutil
import sys
from pathlib import Path

from PIL import Image

# Stamps that are drawn flat, twice there, or nothing that has an edge.
NO_THINGS = ("/symbols/", "_mirror", "_flip", "cartoon", "/flags/", "lightning", "firework", "sun.png", "ghost",
             "/houses/", "explosion", "fire.png", "smoke")
# Stamps that stand behind or before a subject more often than they are one.
LEAVES = ("lavender", "lettuce_bolted", "thyme", "birch", "holly_leaves", "holm_oak", "liberia-palm", "tree336",
          "Christmas_Tree_photo", "xmaswreath", "greens", "cabbage", "parsley")
# Textures that are no pictures.
NO_PICTURES = ("_norm", "_nm", "_gloss", "_bump", "_glow", "models", "_local", "spec")
# OpenCV's scenes; its other pictures are patterns for calibration and the like.
SCENES = ("leuvenA", "home", "building", "aloeL", "graf1", "scenetext01", "scenetext03")
TEXTURES_EACH = 80


def main(folder):
    """Fills the four folders anew."""
    debian = folder / "debian"
    stamps = sorted(debian.glob("tuxpaint*/**/stamps/**/*.png"))
    plants = [path for path in stamps if any(word in path.name for word in LEAVES)]
    leaves = save(folder / "leaves", map(thing, plants), "png")
    things = save(folder / "things", (thing(path) for path in stamps if path not in plants), "png")
    pictures = [path for path in sorted(debian.rglob("*")) if path.suffix in (".jpg", ".jpeg", ".png", ".webp")]
    wallpapers = [wall(path, 700) for path in wallpapers_of(pictures)]
    scenes = [wall(path, 700) for path in pictures if path.stem in SCENES and "opencv-doc" in path.parts]
    walls = save(folder / "walls", wallpapers + scenes, "jpg")
    textures = []
    for package in ("nexuiz-textures", "ufoai-textures"):
        found = [path for path in pictures if package in path.parts]
        found = [path for path in found if not any(word in str(path) for word in NO_PICTURES)]
        random.Random(1).shuffle(found)
        large = (texture for texture in (wall(path, 512, 256) for path in found) if texture)
        textures += [texture for texture, _ in zip(large, range(TEXTURES_EACH))]
    textures = save(folder / "textures", textures, "jpg")
    print(f"{things} things, {leaves} leaves, {walls} walls, {textures} textures")


def save(folder, pictures, kind):
    """Numbers what is there, and says how much that is."""
    emptied(folder)
    pictures = [picture for picture in pictures if picture]
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:03}.{kind}", **({"quality": 92} if kind == "jpg" else {}))
    return len(pictures)


def emptied(folder):
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def thing(path):
    """A stamp without the nothing around it; none that is too small."""
    if any(word in str(path) for word in NO_THINGS):
        return None
    stamp = Image.open(path).convert("RGBA")
    box = stamp.getchannel("A").point(lambda value: 255 if value > 20 else 0).getbbox()
    if not box:
        return None
    stamp = stamp.crop(box)
    if min(stamp.size) < 24 or max(stamp.size) < 90:
        return None
    stamp.thumbnail((420, 420))
    return stamp


def wallpapers_of(pictures):
    """Each wallpaper in one of its sizes."""
    names = ("gnome-backgrounds", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "mate-backgrounds",
             "plasma-workspace-wallpapers", "ukui-wallpapers")
    once = {}
    for path in pictures:
        if any(name in path.parts for name in names) and path.stat().st_size > 60_000 and not path.is_symlink():
            # Plasma's: NAME/contents/images/1920x1080.jpg
            key = path.parents[2] / path.parent.name if "contents" in path.parts else path
            once.setdefault(key, path)
    return once.values()


def wall(path, side, least=16):
    """A background; none that is flat."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((side, side))
    darkest, brightest = picture.convert("L").resize((32, 32)).getextrema()
    return picture if min(picture.size) >= least and brightest - darkest >= 12 else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
