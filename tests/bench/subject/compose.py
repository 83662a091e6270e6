"""Pictures to learn from: cut-outs laid over backgrounds, so that every pixel's share is known.

A network that sees only pasted things learns the paste's edge. So a picture also holds what is pasted and is no
subject (leaves behind and before it, a table below, small things, backgrounds in a thing's shape), and everything
that a camera does to a scene is done to the whole: blur, light, noise, JPEG.
"""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter


class Composer:
    """Makes pictures (`side` x `side`, RGB) with masks, the same ones for the same seed."""

    def __init__(self, stock, side, seed):
        self.things, self.people, self.leaves = stock["things"], stock["people"], stock["leaves"]
        self.photos, self.textures = stock["walls"] + stock["places"], stock["textures"]
        self.side = side
        self.random = random.Random(seed)
        self.noise = np.random.default_rng(seed)

    def picture(self):
        """One picture and its mask, arrays of bytes."""
        chance = self.random.random()
        if chance < 0.16:
            scene, mask = self.portrait()
        else:
            scene, mask = self.collage()
        return self.camera(scene), mask

    def portrait(self):
        """A photo of a person as it is, with the mask that a teacher gave it."""
        person = self.random.choice(self.people)
        width, height = person.size
        part = self.random.uniform(0.6, 1.0)
        w, h = max(32, int(width * part)), max(32, int(height * self.random.uniform(part, 1.0)))
        left, top = self.random.randint(0, width - w), self.random.randint(0, height - h)
        person = self.flipped(person.crop((left, top, left + w, top + h)))
        # Apart: scaled together, colours vanish where nothing is opaque.
        mask = person.getchannel("A").resize((self.side, self.side), Image.BILINEAR)
        return person.convert("RGB").resize(mask.size, Image.BILINEAR), np.asarray(mask)

    def collage(self):
        """One thing, seldom two or three, before a background."""
        side, dice = self.side, self.random
        mask = Image.new("L", (side, side), 0)
        count = dice.choice([1] * 8 + [2, 2, 3])
        stock = self.people if dice.random() < 0.33 else self.things
        size = dice.uniform(0.4, 1.35) if count == 1 else dice.uniform(0.3, 0.7)
        chosen = [
            self.thing(dice.choice(stock), size * dice.uniform(0.85, 1.15), stock is self.people) for _ in range(count)
        ]
        scene = self.surroundings(chosen[0])
        for thing in chosen:
            spot = self.spot(thing, count, stock is self.people)
            if dice.random() < 0.3:
                self.shadow(scene, thing, spot)
            if dice.random() < 0.5:
                thing = lit(thing, scene, spot, dice.uniform(0, 0.6))
            scene.paste(thing, spot, thing)
            mask.paste(255, spot, thing.getchannel("A"))
        for _ in range(dice.choice([1, 2, 3]) if dice.random() < 0.15 else 0):
            self.leaf(scene, mask)
        return scene, np.asarray(mask)

    def surroundings(self, thing):
        """What is behind a thing and below it."""
        dice = self.random
        scene = self.background()
        if dice.random() < 0.2:
            self.table(scene, thing)
        for _ in range(dice.choice([0, 0, 0, 1, 1, 2])):
            self.clutter(scene)
        for _ in range(dice.choice([1, 2, 3, 5]) if dice.random() < 0.3 else 0):
            self.leaf(scene, None)
        if dice.random() < 0.45:
            scene = scene.filter(ImageFilter.GaussianBlur(dice.uniform(0, 5)))
        if dice.random() < 0.3:
            self.decoy(scene)
        return scene

    def table(self, scene, thing):
        """Something else from a height downwards, now and then in the thing's colours."""
        dice = self.random
        top = self.background()
        if dice.random() < 0.5:
            top = lit(top.convert("RGBA"), thing.convert("RGB"), (0, 0), dice.uniform(0.3, 0.9)).convert("RGB")
        edge = int(self.side * dice.uniform(-0.1, 0.8))
        left, right = edge + dice.randint(-30, 30), edge + dice.randint(-30, 30)
        cover = Image.new("L", scene.size, 0)
        side = self.side
        ImageDraw.Draw(cover).polygon([(0, left), (side, right), (side, side + 99), (0, side + 99)], fill=255)
        scene.paste(top, (0, 0), cover)

    def leaf(self, scene, mask):
        """A plant behind the subject, or before it where there is a mask to be covered."""
        dice = self.random
        leaf = self.thing(dice.choice(self.leaves), dice.uniform(0.3, 1.2), False).rotate(dice.uniform(0, 360))
        spot = (dice.randint(-leaf.width // 2, self.side - leaf.width // 2),
                int(self.side * dice.uniform(0.2, 1)) - (0 if mask else leaf.height // 2))
        scene.paste(leaf, spot, leaf)
        if mask:
            mask.paste(0, spot, leaf.getchannel("A"))

    def background(self):
        """A photo's part, a texture, or a studio's wall."""
        side, dice = self.side, self.random
        chance = dice.random()
        if chance < 0.14:
            return self.wall()
        photo = dice.choice(self.textures if chance < 0.24 else self.photos)
        width, height = photo.size
        part = dice.uniform(0.35, 1.0)
        w, h = int(width * part), int(height * min(1.0, part * dice.uniform(0.8, 1.25)))
        left, top = dice.randint(0, width - w), dice.randint(0, height - h)
        photo = photo.crop((left, top, left + w, top + h)).resize((side, side), Image.BILINEAR)
        return self.tinted(self.flipped(photo))

    def wall(self):
        """Two colours that run into each other, mostly bright ones."""
        bright = self.random.random() < 0.6
        low = 190 if bright else 0
        ends = self.noise.integers(low, 256, (2, 2, 3)).astype(np.uint8)
        if bright and self.random.random() < 0.5:
            ends[:] = self.random.randint(235, 255)
        return Image.fromarray(ends).resize((self.side, self.side), Image.BICUBIC)

    def thing(self, source, size, upright):
        """A cut-out, turned, flipped and tinted, its longer side `size` of the picture's."""
        dice = self.random
        thing = self.flipped(source)
        if not upright:
            thing = thing.rotate(dice.gauss(0, 12), Image.BICUBIC, expand=True)
        longest = max(8, int(self.side * size))
        ratio = longest / max(thing.size)
        stretch = dice.uniform(0.8, 1.25)
        width, height = int(thing.width * ratio * stretch), int(thing.height * ratio)
        thing = thing.resize((max(4, width), max(4, height)), Image.BILINEAR)
        return self.tinted(thing)

    def spot(self, thing, count, stands):
        """Where it lies: near the middle; what is cut off below reaches the lower edge."""
        side, dice = self.side, self.random
        spread = 0.1 if count == 1 else 0.25
        x = int(side * dice.gauss(0.5, spread) - thing.width / 2)
        y = int(side * dice.gauss(0.52, spread) - thing.height / 2)
        if stands:
            tall = thing.height > side
            y = min(int(side * 0.02), side - thing.height // 2) if tall else side - thing.height
        return x, y

    def clutter(self, scene):
        """Something small that is not the subject."""
        dice = self.random
        thing = self.thing(dice.choice(self.things), dice.uniform(0.06, 0.18), False)
        scene.paste(thing, (dice.randint(-10, self.side), dice.randint(-10, self.side)), thing)

    def decoy(self, scene):
        """A background in the shape of a thing."""
        shape = self.thing(self.random.choice(self.things), self.random.uniform(0.15, 0.5), False)
        filling = self.background().resize(shape.size)
        place = (self.random.randint(-20, self.side), self.random.randint(-20, self.side))
        scene.paste(filling, place, shape.getchannel("A"))

    def shadow(self, scene, thing, spot):
        """What a thing takes of the light beside and below it."""
        dice = self.random
        dark = thing.getchannel("A").point(lambda value: int(value * 0.5))
        cover = Image.new("L", scene.size, 0)
        cover.paste(dark, (spot[0] + dice.randint(-12, 12), spot[1] + dice.randint(2, 14)))
        cover = cover.filter(ImageFilter.GaussianBlur(dice.uniform(3, 12)))
        scene.paste(Image.new("RGB", scene.size, (0, 0, 0)), (0, 0), cover)

    def flipped(self, picture):
        return picture.transpose(Image.FLIP_LEFT_RIGHT) if self.random.random() < 0.5 else picture

    def tinted(self, picture):
        """Other light on the same thing."""
        dice = self.random
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
        colours = picture.convert("RGB")
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            colours = change(colours).enhance(dice.uniform(0.7, 1.3))
        if alpha is not None:
            colours.putalpha(alpha)
        return colours

    def camera(self, scene):
        """What a camera does to all of it."""
        dice = self.random
        if dice.random() < 0.1:
            scene = scene.convert("L").convert("RGB")
        if dice.random() < 0.4:
            scene = scene.filter(ImageFilter.GaussianBlur(dice.uniform(0.2, 1.2)))
        pixels = np.asarray(scene).astype(np.float32) * self.noise.uniform(0.85, 1.15, 3).astype(np.float32)
        if dice.random() < 0.4:
            grain = self.noise.standard_normal(pixels.shape, np.float32)
            pixels += grain * dice.uniform(1, 10)
        scene = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        if dice.random() < 0.6:
            file = io.BytesIO()
            scene.save(file, "JPEG", quality=dice.randint(40, 95))
            scene = Image.open(file).convert("RGB")
        return np.asarray(scene)


def lit(thing, scene, spot, share):
    """The thing's colours moved towards those of the scene around it."""
    left, top = max(spot[0], 0), max(spot[1], 0)
    right, bottom = min(spot[0] + thing.width, scene.width), min(spot[1] + thing.height, scene.height)
    if right <= left or bottom <= top:
        return thing
    around = scene.crop((left, top, right, bottom))
    there = np.asarray(around, np.float32).reshape(-1, 3).mean(0)
    pixels = np.asarray(thing).astype(np.float32)
    alpha = pixels[..., 3:] / 255
    own = (pixels[..., :3] * alpha).sum((0, 1)) / max(float(alpha.sum()), 1.0)
    pixels[..., :3] += share * (there - own)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGBA")
