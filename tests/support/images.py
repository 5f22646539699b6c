"""Files of images as MNIST's are, but of 8 x 8 pixels, and easy to tell apart."""

import gzip

import torch


def idx(elements, code=8):
    """The bytes of an IDX file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in elements.shape)
    return bytes([0, 0, code, elements.dim()]) + sizes + bytes(elements.flatten().int().tolist())


def bars(number, classes=3, size=8, seed=0):
    """Images of one bright row, whose place is their class, in noise; (N, size, size) and (N,)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(number) % classes
    images = torch.randint(40, (number, size, size), generator=draw)
    images[torch.arange(number), labels * (size // classes)] += 200
    return images.to(torch.uint8), labels.to(torch.uint8)


def write_images(folder, name="train-images-idx3-ubyte.gz", number=60, **given):
    """Write a file of images and the labels beside it; returns the file of images."""
    images, labels = bars(number, **given)
    pack = gzip.compress if name.endswith(".gz") else bytes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pack(idx(images)))
    (folder / name.replace("images", "labels").replace("idx3", "idx1")).write_bytes(pack(idx(labels)))
    return folder / name
