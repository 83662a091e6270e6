#!/usr/bin/env python3
"""Draws the picture of tests/worker.rs as files of kinds that are seldom met. Needs Pillow.

Run once; the files are kept, so that no test depends on what a later Pillow writes.
"""
import pathlib
import struct
import zlib

from PIL import Image

HERE = pathlib.Path(__file__).parent


def photo():
    image = Image.new("RGB", (128, 96), (150, 150, 155))
    image.paste((210, 30, 30), (24, 20, 48, 60))
    image.paste((30, 190, 40), (48, 20, 72, 60))
    return image


def chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(header, rows):
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    magic = b"\x89PNG\r\n\x1a\n"
    return magic + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def adam7(image):
    """The rows of each of the seven passes, none of them filtered."""
    rows = b""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
    for left, top, step, down in passes + [(1, 0, 2, 2), (0, 1, 1, 2)]:
        for y in range(top, image.height, down):
            line = (image.getpixel((x, y)) for x in range(left, image.width, step))
            rows += b"\0" + b"".join(bytes(pixel) for pixel in line)
    return rows


def save(image, name, **options):
    image.save(HERE / name, **options)


def main():
    plain = photo()
    save(plain, "progressive.jpg", progressive=True, quality=95)
    save(plain.convert("CMYK"), "cmyk.jpg", quality=95)
    save(plain, "subsampled.jpg", quality=90, subsampling=2)
    save(plain.convert("L"), "grey.jpg", quality=95)
    palette = plain.quantize(4)
    save(palette, "palette.png", bits=2)
    save(palette, "palette-transparent.png", bits=2, transparency=palette.getpixel((100, 80)))
    save(plain, "lossy.webp", quality=90)
    save(plain.convert("RGBA"), "lossless.webp", lossless=True)
    second = Image.new("RGB", plain.size, (0, 0, 255))
    for name in ["animated.png", "animated.webp"]:
        save(plain, name, save_all=True, append_images=[second], duration=100)
    interlaced = struct.pack(">IIBBBBB", 128, 96, 8, 2, 0, 0, 1)
    (HERE / "interlaced.png").write_bytes(png(interlaced, adam7(plain)))
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    (HERE / "no-pixels.png").write_bytes(png(header, b""))


if __name__ == "__main__":
    main()
