#!/usr/bin/env python3
"""Writes the mask that rembg makes of each PNG in a folder: `masks.py MODEL FOLDER`."""
import os
import pathlib
import sys

model, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
os.environ["REMBG_HOME"] = str(model.parent)

from PIL import Image
from rembg import new_session, remove

session = new_session("u2net_custom", model_path=str(model))
for photo in list(folder.glob("*.png")):
    mask = remove(Image.open(photo), session=session, only_mask=True)
    mask.save(folder / f"{photo.stem}.mask.png")
