"""Pictures of digits, and of what is none, of the kinds that people take and draw.

``python -m tests.tools.digit_pictures FOLDER`` writes those of `examples` there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import mnist

Grey = NDArray[np.floating]
Rng = np.random.Generator
PAPERS = ("plain", "ruled", "squared")


def cropped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off the rows and columns without ink."""
    return image[ndimage.find_objects((image > 60).astype(int))[0]]


def scaled(image: NDArray[np.uint8], longest: float) -> Grey:
    """Give the ink of a digit, its longer side of so many pixels, from 0 to 1."""
    ink = Image.fromarray(cropped(image))
    size = [max(round(side * longest / max(ink.size)), 1) for side in ink.size]
    return np.asarray(ink.resize(size, Image.Resampling.BICUBIC)) / 255


# Strokes of digits, as corners in a box that is 1 high and 1 wide, from its upper left.
LINES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.5, 0), (0.1, 0.3), (0.1, 0.8), (0.5, 1), (0.9, 0.7), (0.9, 0.2), (0.5, 0)]],
    1: [[(0.2, 0.3), (0.6, 0), (0.55, 1)]],
    2: [[(0.1, 0.2), (0.5, 0), (0.9, 0.2), (0.8, 0.5), (0.1, 1), (0.95, 0.95)]],
    3: [[(0.1, 0.1), (0.6, 0), (0.9, 0.2), (0.5, 0.45), (0.9, 0.7), (0.6, 1), (0.1, 0.9)]],
    4: [[(0.4, 0), (0.1, 0.6), (0.9, 0.6)], [(0.7, 0.2), (0.65, 1)]],
    5: [[(0.9, 0), (0.2, 0), (0.2, 0.45), (0.7, 0.4), (0.9, 0.7), (0.6, 1), (0.1, 0.9)]],
    6: [[(0.7, 0), (0.2, 0.4), (0.1, 0.8), (0.5, 1), (0.9, 0.8), (0.6, 0.55), (0.15, 0.65)]],
    7: [[(0.1, 0.05), (0.9, 0), (0.4, 0.6), (0.3, 1)]],
    8: [[(0.8, 0.15), (0.4, 0), (0.2, 0.2), (0.85, 0.75), (0.5, 1), (0.15, 0.8), (0.8, 0.15)]],
    9: [[(0.8, 0.2), (0.4, 0), (0.2, 0.25), (0.5, 0.45), (0.8, 0.2), (0.75, 0.6), (0.6, 1)]],
}


def lines_of(digit: int, height: int, pen: int) -> Grey:
    """Draw a digit of my own with straight strokes; give its ink, 0 or 1."""
    scene = Image.new("L", (round(0.7 * height) + 2 * pen, height + 2 * pen))
    drawing = ImageDraw.Draw(scene)
    for stroke in LINES[digit]:
        points = [(pen + 0.7 * height * x, pen + height * y) for x, y in stroke]
        drawing.line(points, 255, pen)
        for x, y in points:
            drawing.ellipse([x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2], fill=255)
    return cropped(np.asarray(scene)) / 255


def letter(digit: int, height: int) -> Grey:
    """Print a digit in Matplotlib's own font, DejaVu Sans; give its ink, from 0 to 1."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), height)
    scene = Image.new("L", (2 * height, 2 * height))
    ImageDraw.Draw(scene).text((height // 2, height // 4), str(digit), 255, font)
    return cropped(np.asarray(scene)) / 255


def framed(ink: Grey, *margins: float) -> Grey:
    """Put space around ink, in parts of its longer side: above, below, left, right."""
    top, bottom, left, right = (round(margin * max(ink.shape)) for margin in margins)
    return np.pad(ink, ((top, bottom), (left, right)))


def spaced(ink: Grey, rng: Rng, least: float = 0.2, most: float = 0.9) -> Grey:
    return framed(ink, *rng.uniform(least, most, 4))


def paper_of(kind: str, shape: tuple[int, int], rng: Rng) -> Grey:
    """Make a sheet, slightly turned, as shades of red, green and blue from 0 to 1."""
    y, x = np.indices(shape)
    turn = rng.uniform(-0.07, 0.07)
    across, down = x + turn * y, y - turn * x
    pitch, width = shape[0] / rng.uniform(10, 30), shape[0] / rng.uniform(280, 700)
    tint = (
        rng.uniform(0.1, 0.5) * np.array([[1, 0.8, 0.5], [1, 1, 1], [0.4, 0.9, 1]])[rng.choice(3)]
    )
    sheet = np.full((*shape, 3), rng.uniform(0.82, 0.99)) + rng.uniform(-0.03, 0.03, 3)
    for position in {"plain": [], "ruled": [down], "squared": [across, down]}[kind]:
        distance = np.abs((position + rng.uniform(0, pitch)) % pitch - pitch / 2)
        line = np.clip(width / 2 + 0.5 - distance, 0, 1)
        sheet *= 1 - line[..., np.newaxis] * tint
    return sheet


def light_of(shape: tuple[int, int], rng: Rng) -> Grey:
    """Make light that falls from one side, or with a shadow in it, or both or neither."""

    def rising() -> Grey:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.indices(shape) / np.array(shape).reshape(2, 1, 1)
        height = np.cos(angle) * x + np.sin(angle) * y
        return (height - height.min()) / np.ptp(height)

    light = np.ones(shape)
    if rng.random() < 0.5:
        light *= 1 - rng.uniform(0.2, 0.55) * rising()
    if rng.random() < 0.5:
        edge = (rising() - rng.uniform(0.25, 0.75)) / rng.uniform(0.005, 0.08)
        light *= 1 - rng.uniform(0.25, 0.55) / (1 + np.exp(-edge))
    return light


def written(ink: Grey, rng: Rng, paper: str = "plain") -> Grey:
    """Take a picture of ink, from 0 to 1, as a blue or a black pen leaves it on paper."""
    sheet = paper_of(paper, ink.shape, rng)
    blue = np.array([0.15, 0.25, rng.uniform(0.45, 0.7)])
    pen = blue if rng.random() < 0.5 else rng.uniform(0.08, 0.25, 3)
    sheet += (ink * rng.uniform(0.85, 1))[..., np.newaxis] * (pen - sheet)
    blur = rng.uniform(0.4, 1.5)
    seen = ndimage.gaussian_filter(sheet * light_of(ink.shape, rng)[..., None], (blur, blur, 0))
    noisy = 255 * rng.uniform(0.85, 1) * seen + rng.normal(0, rng.uniform(1, 6), seen.shape)
    return np.asarray(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).convert("L"))


def drawn(ink: Grey, rng: Rng) -> Grey:
    """Draw ink, from 0 to 1, dark on light or light on dark."""
    grey = np.rint(255 * (1 - np.clip(ink, 0, 1)))
    return grey if rng.random() < 0.5 else 255 - grey


# --- a digit, to be read -----------------------------------------------------------------------


def at_the_edge(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Cut off a photograph right at the digit, on one side or on two that meet."""
    margins = rng.uniform(0.15, 0.9, 4)
    margins[rng.choice([0, 1])] = 0
    if rng.random() < 0.3:
        margins[rng.choice([2, 3])] = 0
    return written(framed(scaled(image, rng.uniform(150, 400)), *margins), rng)


def with_specks(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Cut off a drawing right at the digit; a speck of dust is in its corner."""
    ink = framed(scaled(image, rng.uniform(150, 400)), 0, 0.2, 0.2, 0.4)
    ink[-6:-3, -7:-3] = 1
    return drawn(ink, rng)


def hatched(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Draw the outline of a thick digit and shade what is inside with lines."""
    ink = scaled(image, rng.uniform(200, 400))
    body = spaced(ndimage.grey_dilation(ink, round(max(ink.shape) / 25)), rng) > 0.5
    width = max(ink.shape) / rng.uniform(50, 80)
    y, x = np.indices(body.shape)
    angle = rng.uniform(0, np.pi)
    pitch = width * rng.uniform(2.2, 3.5)
    lines = (np.cos(angle) * x + np.sin(angle) * y) % pitch < width
    depth = ndimage.distance_transform_edt(body)
    strokes = body & (lines | (depth <= width))
    return written(ndimage.gaussian_filter(strokes.astype(float), 0.7), rng)


def shaded(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Write with a soft pencil, which leaves the paper's grain white."""
    ink = spaced(scaled(image, rng.uniform(200, 400)), rng)
    grain = ndimage.gaussian_filter(rng.normal(size=ink.shape), rng.uniform(1, 2.5))
    level = np.quantile(grain, rng.uniform(0.1, 0.35))
    return written(ink * np.where(grain < level, 0.1, 0.75), rng)


def highlighted(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Write with uneven ink: three times as dark at some places as at others."""
    ink = spaced(scaled(image, rng.uniform(150, 400)), rng)
    clouds = ndimage.gaussian_filter(rng.normal(size=ink.shape), max(ink.shape) / 25)
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    amount = np.where(clouds > rng.uniform(0.6, 0.8), 1, rng.uniform(0.35, 0.45))
    return written(ink * ndimage.gaussian_filter(amount, 3), rng)


def blurred(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Take a small picture of a digit out of focus."""
    ink = spaced(scaled(image, rng.uniform(40, 90)), rng)
    return written(ndimage.gaussian_filter(ink, max(ink.shape) * rng.uniform(0.01, 0.025)), rng)


def broken(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Tear the strokes of 28×28 pixels apart at some places."""
    ink = image / 255
    for y, x in rng.permutation(np.argwhere(image > 128))[: rng.integers(3, 6)]:
        ink[y - 1 : y + 2, x - 1 : x + 2] *= 0.1
    return drawn(ink, rng)


def boxed(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Draw a frame around a digit."""
    ink = spaced(scaled(image, rng.uniform(100, 300)), rng, 0.2, 0.6)
    width = rng.integers(1, 6)
    return drawn(np.pad(np.pad(ink, width, constant_values=1), rng.integers(10, 60)), rng)


def bordered(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Put a light digit on a black square, and that on something white."""
    window = 1 - spaced(scaled(image, rng.uniform(100, 300)), rng, 0.2, 0.6)
    return 255 * (1 - np.pad(window, rng.integers(2, 60, (2, 2))))


def plotted(image: NDArray[np.uint8], rng: Rng) -> Grey:
    """Show an image as Matplotlib does, with axes and numbers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=rng.uniform(2.5, 6, 2), dpi=100)
    axes = figure.subplots()
    axes.imshow(image, cmap=rng.choice(["gray", "gray_r"]))
    if rng.random() < 0.5:
        axes.set_title(f"Prediction: {rng.integers(10)}")
    return canvas_of(figure)


def canvas_of(figure) -> Grey:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"))


# --- no digit, to be refused -------------------------------------------------------------------


def bar_chart(rng: Rng) -> Grey:
    """Draw bars between axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=rng.uniform(3, 6, 2), dpi=100)
    count = rng.integers(3, 11)
    figure.subplots().bar(range(count), rng.uniform(0.3, 1, count), rng.uniform(0.5, 1))
    return canvas_of(figure)


def histogram(rng: Rng) -> Grey:
    """Draw bars of about the same height close to each other, on one line."""
    heights = rng.uniform(200, 300, rng.integers(5, 10)).astype(int)
    width, gap = int(rng.integers(25, 50)), int(rng.integers(0, 8))
    ink = np.zeros((320, len(heights) * (width + gap) + 40))
    for k, height in enumerate(heights):
        ink[310 - height : 310, 20 + k * (width + gap) : 20 + k * (width + gap) + width] = 0.8
    ink[308:312, 10:-10] = 1
    return 255 * (1 - np.pad(ink, 15))


def uneven_bars(rng: Rng) -> Grey:
    """Draw bars of very different heights that stand on a line, or lie beside one."""
    heights = rng.uniform(0.05, 1, rng.integers(4, 9)) * 300
    width, gap = int(rng.integers(15, 60)), int(rng.integers(2, 30))
    ink = np.zeros((304, len(heights) * (width + gap) + gap))
    for k, height in enumerate(heights.astype(int)):
        left = gap + k * (width + gap)
        ink[300 - height : 300, left : left + width] = 0.8
    ink[300:] = 1
    return drawn(np.rot90(np.pad(ink, 40), rng.choice([0, 3])), rng)


def face(rng: Rng) -> Grey:
    """Draw a face: two eyes and a mouth in a circle."""
    scene = Image.new("L", (400, 400), 0)
    drawing = ImageDraw.Draw(scene)
    width, eye = int(rng.integers(8, 20)), rng.uniform(20, 35)
    drawing.ellipse([60, 60, 340, 340], outline=255, width=width)
    for x in (150, 250):
        drawing.ellipse([x - eye, 160 - eye, x + eye, 160 + eye], fill=255)
    drawing.arc([130, 180, 270, 300], 20, 160, fill=255, width=width)
    return written(np.asarray(scene) / 255, rng)


def weighing_scale(rng: Rng) -> Grey:
    """Take a picture of a dark plate with round corners; its display shows a weight."""
    height, width = rng.integers(250, 400, 2)
    scene = Image.new("L", (int(width * 1.6), int(height * 1.5)), 0)
    drawing = ImageDraw.Draw(scene)
    left, top = int(0.3 * width), int(0.25 * height)
    drawing.rounded_rectangle([left, top, left + width, top + height], width // 8, 225)
    x, y = left + 0.3 * width, top + 0.1 * height
    drawing.rectangle([x, y, x + 0.4 * width, y + 0.18 * height], 90)
    font = ImageFont.load_default(0.15 * height)
    drawing.text((x + 0.05 * width, y), f"{rng.uniform(50, 99):.1f}", 230, font)
    return written(np.asarray(scene) / 255, rng)


def dot(rng: Rng) -> Grey:
    """Draw a dot, round or longish."""
    side = int(rng.integers(80, 500))
    y, x = (np.indices((side, side)) - side / 2) / side / rng.uniform(0.03, 0.3)
    angle = rng.uniform(0, np.pi)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    ink = (along**2 + (across * rng.uniform(1, 1.6)) ** 2 < 1).astype(float)
    return drawn(ink, rng) if rng.random() < 0.5 else written(ink, rng)


def plate(rng: Rng) -> Grey:
    """Draw a filled rectangle, as wide as it is high or up to three times as wide."""
    ink = np.pad(np.ones((rng.integers(60, 80), rng.integers(60, 190))), rng.integers(40, 90))
    return drawn(ink, rng) if rng.random() < 0.5 else written(ink, rng)


def curve(rng: Rng) -> Grey:
    """Plot a curve, with axes and perhaps with a grid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=rng.uniform(3, 6, 2), dpi=100)
    axes = figure.subplots()
    x = np.linspace(0, 10, 300)
    axes.plot(x, np.sin(rng.uniform(1, 6) * x) + rng.uniform(-1, 1) * x)
    axes.grid(rng.random() < 0.7)
    axes.margins(0 if rng.random() < 0.5 else 0.05)
    axes.set(xlabel="time", ylabel="voltage")
    return canvas_of(figure)


def squared_paper(rng: Rng) -> Grey:
    page = np.zeros((400, 500))
    pitch = int(rng.integers(12, 40))
    rows, columns = 100 + pitch * np.arange(200 // pitch), 100 + pitch * np.arange(300 // pitch)
    page[rows, 100 : columns[-1] + 1] = 1
    page[100 : rows[-1] + 1, columns] = 1
    return drawn(page, rng)


def printed_code(rng: Rng) -> Grey:
    modules = rng.random((25, 25)) < 0.5
    return drawn(np.pad(np.kron(modules, np.ones((8, 8))), 40), rng)


def black_border(rng: Rng) -> Grey:
    """Scan an empty page; at one side its edge is seen."""
    ink = np.zeros((500, 400))
    ink[:, : rng.integers(5, 40)] = 1
    return np.rot90(written(ink, rng), rng.integers(4))


DIGITS: dict[str, Callable[[NDArray[np.uint8], Rng], Grey]] = {
    f.__name__: f
    for f in (
        at_the_edge,
        with_specks,
        hatched,
        shaded,
        highlighted,
        blurred,
        broken,
        boxed,
        bordered,
        plotted,
    )
}
NO_DIGITS: dict[str, Callable[[Rng], Grey]] = {
    f.__name__: f
    for f in (
        bar_chart,
        histogram,
        uneven_bars,
        face,
        weighing_scale,
        dot,
        plate,
        curve,
        squared_paper,
        printed_code,
        black_border,
    )
}


def examples() -> dict[str, NDArray[np.uint8]]:
    """Make the three pictures of the README of ``tools/predict``."""
    images = mnist.load_split("t10k", 40)[0].reshape(-1, 28, 28)
    made = {
        "cut_off.png": at_the_edge(images[0], np.random.default_rng(4)),
        "hatched.png": hatched(images[1], np.random.default_rng(2)),
        "framed.png": boxed(images[30], np.random.default_rng(5)),
    }
    small = {
        name: Image.fromarray(picture.astype(np.uint8)).reduce(2) for name, picture in made.items()
    }
    return {name: np.asarray(picture) for name, picture in small.items()}


if __name__ == "__main__":
    for name, picture in examples().items():
        Image.fromarray(picture).save(Path(sys.argv[1]) / name, optimize=True)
