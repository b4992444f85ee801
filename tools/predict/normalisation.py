"""From a picture in shades of grey to the 28×28 pixels that MNIST would have made of its digit."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.arguments import Floats
from common.errors import InputError
from mnist import IMAGE_SHAPE

# MNIST scales each digit into a box of 20×20 pixels and moves its center of mass to the middle of
# 28×28: in each of its images, row and column of the center lie in 13.5 ≤ x < 14.5, counted from 0.
SIDE = IMAGE_SHAPE[0]
BOX_SIDE = 20
BOX_MARGIN = (SIDE - BOX_SIDE) // 2

# A pixel is a part of a stroke if it has more than this fraction of the darkest ink. In drawings,
# the halos of JPEGs and the fringes of enlarged images have less; on plain paper so has noise; on
# any paper so have printed lines.
DRAWING_EDGE, PLAIN_EDGE, PAPER_EDGE = 0.25, 0.3, 0.5
# The skewness of a picture with light ink is at least this; it is dimensionless. Shadows on an
# empty page have up to 0.15, light digits that are cropped tightly 0.3 or more.
LIGHT_INK = 0.2
# Ink on paper takes at least this fraction of the light; the noise of an empty page takes less.
FAINTEST_INK = 0.15
# The fraction of a picture's pixels that is ignored when the darkest ink is looked for: dust.
DUST = 1 / 5000
# The thinnest stroke, as a fraction of the digit's longer side: of MNIST's images, nine of ten have
# more.
THINNEST_STROKE = 1 / 10
# The diameter of the largest disk in the ink, as a fraction of the digit's longer side: one of 900
# images of MNIST has more; a filled square or circle has 1.
WIDEST_STROKE = 0.5
# How much of its bounding box a frame or a panel fills, together with what is in it. MNIST's 0 and
# 8 fill at most 0.88. A bar that is a 1 fills its box, too, but is narrower.
PANEL_FILL, PANEL_WIDTH = 0.9, 1 / 4
# How many strokes a row and a column of a digit cross: a wide 4 has three beside each other, a
# curly 3 four above each other. Text, grids and curves have more.
MOST_ACROSS, MOST_DOWN = 3, 4
# A smaller fraction of the digit's longer side does not count: a serif, a bump.
BUMP = 0.1
# Bars and axes are straight over this fraction of their length.
FULL_LENGTH = 0.9
# A mark with a smaller fraction of the digit's ink is not a second digit.
SMALLEST_MARK = 0.1
# A fragment with a smaller fraction of the ink of the largest one is dust, which says nothing about
# the digit's size and strokes.
DUST_MARK = 0.01
# How far apart hatched lines are at most, as a fraction of the digit's height.
HATCHES = 1 / 25
# The longer side of the smallest picture that can be a photograph, in pixels.
SMALLEST_PHOTOGRAPH = 100
EIGHT_NEIGHBOURS = np.ones((3, 3))


def normalise(grey: NDArray) -> NDArray[np.uint8]:
    """Find the digit in a drawing or a photograph, and crop, scale and center it as MNIST does.

    Parameters
    ----------
    grey : ndarray of shape (H, W), numbers, finite
        A drawing on a background of one shade, or a photograph of paper or of a blackboard, plain
        or with lines. The digit may be darker or lighter than its background, and in a frame or on
        a panel.

    Returns
    -------
    ndarray of shape (28, 28), uint8, values 0 to 255
        Light on dark, as `to_mnist` gives it.

    Raises
    ------
    InputError
        If there is no digit, or more than one. It says what was found.
    """
    grey = grey.astype(np.float64)
    inside = inside_of_panel(grey)
    if inside is not None:
        try:
            return normalise(inside)
        except InputError as error:
            raise InputError(f"in a frame or on a panel: {error}") from None
    dark = dark_on_light(grey)
    problems = []
    for view in views(dark):
        try:
            return to_mnist(widen(cut_out(dark, view)))
        except InputError as error:
            problems.append(error)
    raise problems[-1]


def inside_of_panel(grey: NDArray) -> NDArray | None:
    """Find what is in a frame, between the axes of a plot, or on a sheet or panel.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        As in `normalise`.

    Returns
    -------
    ndarray of shape (h, w), or None if there is no frame or panel, or several
        A part of `grey`.
    """
    contrast = np.abs(grey - np.median(border_of(grey)))
    parts, _ = ndimage.label(contrast > DRAWING_EDGE * contrast.max(), EIGHT_NEIGHBOURS)
    boxes = ndimage.find_objects(parts)
    if not boxes:
        return None
    areas = np.array([parts[box].size for box in boxes])
    main = int(np.argmax(areas))
    box = boxes[main]
    panel = parts[box] == main + 1
    is_second = areas > areas[main] / 2
    is_second[parts[box][parts[box] > 0] - 1] = False
    if main + 1 in border_of(parts) or is_second.any() or not is_panel(panel):
        return None
    inside = grey[box]
    holes, count = ndimage.label(ndimage.binary_fill_holes(panel) & ~panel)
    if count:
        hole = holes == 1 + np.argmax(np.bincount(holes.ravel())[1:])
        # A frame is a line around one large hole. On a panel, the holes are the digit.
        if hole.mean() > 0.5:
            inside = inside[box_of(hole)]
    margin = 1 + max(inside.shape) // 50
    return inside[margin:-margin, margin:-margin] if min(inside.shape) > 2 * margin else None


def is_panel(mark: NDArray[np.bool_]) -> bool:
    """Tell whether a mark, cut out at its bounding box, is a frame or a panel."""
    is_broad = min(mark.shape) > PANEL_WIDTH * max(mark.shape)
    return bool(is_broad and ndimage.binary_fill_holes(mark).mean() >= PANEL_FILL)


def dark_on_light(grey: NDArray) -> NDArray:
    """Turn light ink on dark into dark ink on light, so that nothing else needs to ask which it is.

    Ink differs from its surroundings by much, on a small area, and the rest by little, whichever
    way the light falls. So the differences are skewed to the side of the ink.
    """
    step = -(-max(grey.shape) // SMALLEST_PHOTOGRAPH)
    blocks = block_means(grey, step)
    surroundings = ndimage.gaussian_filter(blocks, max(blocks.shape) / 6, mode="nearest")
    difference = blocks - surroundings
    is_light = np.mean(difference**3) > LIGHT_INK * np.mean(difference**2) ** 1.5
    return grey.max() + grey.min() - grey if is_light else grey


def block_means(grey: NDArray, step: int) -> Floats:
    """Compute the means of blocks of this many rows and columns; a remainder is dropped."""
    height, width = (side // step * step for side in grey.shape)
    if not height or not width:
        return grey
    return grey[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3))


class View(NamedTuple):
    """A way to see a picture.

    Attributes
    ----------
    ink : ndarray of shape (H, W), float, values >= 0
        How much ink a pixel has.
    edge : float
        How much the edge of a stroke has, as a fraction of the darkest ink.
    at_the_edge : {"refused", "left out", "kept"}
        What becomes of marks that touch the edge of the picture. Left out they are if the largest
        mark is a line or a shadow; otherwise it is the digit, and they may be a second one.
    """

    ink: Floats
    edge: float
    at_the_edge: Literal["refused", "left out", "kept"]


def views(grey: NDArray) -> Iterator[View]:
    """List the ways to see a picture of dark ink; the first one that shows a single digit is right.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
    """
    border = border_of(grey)
    drawn = np.maximum(np.median(border) - grey, 0)
    if spread(border) <= 0.005 * drawn.max():
        # A drawing: the background is of one shade. It may be cropped to the digit.
        yield View(drawn, DRAWING_EDGE, at_the_edge="kept")
        return
    # A photograph. On plain paper even the faint parts of uneven ink are seen; lines, shadows and
    # what lies beside the paper are not as dark as ink, or reach the edge.
    on_paper = ink_on_paper(grey, 1 / 6)
    if on_paper.max() < FAINTEST_INK:
        on_paper = np.zeros_like(on_paper)
    yield View(on_paper, PLAIN_EDGE, at_the_edge="refused")
    yield View(on_paper, PAPER_EDGE, at_the_edge="left out")
    if max(grey.shape) < SMALLEST_PHOTOGRAPH:
        # A small drawing with the noise of a JPEG, cropped to the digit.
        yield View(drawn, DRAWING_EDGE, at_the_edge="kept")


def ink_on_paper(grey: NDArray, widest: float) -> Floats:
    """Compute which part of the light ink takes, if no stroke is wider than a part of the picture.

    In a shadow all contrasts are smaller, but this part is not.
    """
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), 1)
    paper = ndimage.grey_closing(smooth, math.ceil(max(grey.shape) * widest), mode="nearest")
    return 1 - smooth / np.maximum(paper, np.finfo(np.float32).tiny)


def border_of(picture: NDArray) -> NDArray:
    """Give the outermost rows and columns of a picture, one after the other."""
    return np.concatenate(sides_of(picture))


def sides_of(picture: NDArray) -> list[NDArray]:
    """Give the outermost rows and columns of a picture: first, last, left, right."""
    return [picture[0], picture[-1], picture[:, 0], picture[:, -1]]


def spread(values: NDArray) -> np.floating:
    """Estimate a standard deviation by the median deviation, which a few strokes do not change."""
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def cut_out(grey: NDArray, view: View) -> Floats:
    """Cut out the one digit of a picture.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        As `views` gets it.
    view : View

    Returns
    -------
    ndarray of shape (h, w), float, values >= 0
        The digit's ink with some space around it; other marks and lines are left out.

    Raises
    ------
    InputError
        If there is no digit, or more than one. It says what was found.
    """
    ink = view.ink
    if ink.max() == 0:
        raise InputError("nothing stands out from the background; expected a digit")
    limit = view.edge * np.quantile(ink, 1 - DUST)
    parts, _ = ndimage.label(ink > limit, EIGHT_NEIGHBOURS)
    mass = np.bincount(parts.ravel(), ink.ravel())[1:]
    usable = usable_marks(parts, mass, view.at_the_edge)
    belongs = marks_of_digit(parts, mass * usable)
    is_digit = np.append(False, belongs & (mass >= DUST_MARK * mass[belongs].max()))[parts]
    check_surroundings(grey, is_digit)
    height, width = is_digit[box_of(is_digit)].shape
    # The white between hatched lines is a part of their stroke.
    hatches = max(round(HATCHES * height), 1)
    closed = ndimage.grey_closing(is_digit.astype(np.uint8), hatches) > 0
    check_strokes(closed)
    check_lines(closed)
    # In a drawing the faintest pixels are ink, too; on paper they are not.
    longest = max(height, width)
    reach = math.ceil(longest * (0.5 if view.edge == DRAWING_EDGE else THINNEST_STROKE / 2))
    is_near = ndimage.maximum_filter(is_digit, 2 * reach + 1) & np.append(True, belongs)[parts]
    return np.pad(np.where(is_near, ink, 0)[box_of(is_near)], reach)


def usable_marks(parts: NDArray, mass: NDArray, at_the_edge: str) -> NDArray[np.bool_]:
    """Find the marks that may be a part of the digit.

    Parameters
    ----------
    parts : ndarray of shape (H, W), integers
        1 to N in the N marks, 0 between them.
    mass : ndarray of shape (N,)
        The ink of each.
    at_the_edge
        As in `View`.

    Returns
    -------
    ndarray of shape (N,), bool
    """
    main = int(np.argmax(mass))
    touches = np.isin(1 + np.arange(len(mass)), border_of(parts))
    if at_the_edge == "kept" or not touches.any():
        return np.full(len(mass), True)
    if at_the_edge == "refused" and mass[touches].sum() > SMALLEST_MARK * mass[main]:
        raise InputError("found marks that reach the edge; expected a digit")
    if not touches[main] or is_cut_off(parts == main + 1):
        return np.full(len(mass), True)
    if touches.all():
        raise InputError("found only lines or shadows that reach the edge; expected a digit")
    return ~touches


def marks_of_digit(parts: NDArray, mass: NDArray) -> NDArray[np.bool_]:
    """Find the marks of the one digit; raise an InputError if there is a second one.

    Parameters
    ----------
    parts : ndarray of shape (H, W), integers
        1 to N in the N marks, 0 between them.
    mass : ndarray of shape (N,)
        The ink of each; 0 for those that are not usable.

    Returns
    -------
    ndarray of shape (N,), bool
    """
    main = int(np.argmax(mass))
    belongs = together(parts, main, mass > 0)
    lengths = np.array([max(parts[box].shape) for box in ndimage.find_objects(parts)])
    # A thin line has little ink, but is as long as the digit.
    is_large = (mass >= SMALLEST_MARK * mass[belongs].sum()) | (lengths >= lengths[main])
    others = np.count_nonzero(is_large & (mass > 0) & ~belongs)
    if others:
        raise InputError(f"found {1 + others} marks; expected a single digit")
    return belongs


def is_cut_off(mark: NDArray[np.bool_]) -> bool:
    """Tell whether a mark may be a digit that the edge of the picture cuts off.

    Lines reach from one side to the opposite one, and shadows lie along the edge.
    """
    above, below, left, right = (np.count_nonzero(side) for side in sides_of(mark))
    longest = max(mark[box_of(mark)].shape)
    is_across = (above and below) or (left and right)
    return not is_across and above + below + left + right <= longest / 2


def check_strokes(is_digit: NDArray[np.bool_]) -> None:
    """Raise an InputError if a mark is filled, not drawn with strokes."""
    mark = is_digit[box_of(is_digit)]
    widest = 2 * ndimage.distance_transform_edt(np.pad(mark, 1)).max() - 1
    if widest > WIDEST_STROKE * max(mark.shape):
        raise InputError("found a filled area; expected the strokes of a digit")


def check_surroundings(grey: NDArray, is_digit: NDArray[np.bool_]) -> None:
    """Raise an InputError if strokes are the rim of an area that is as dark as they are.

    Of an area that is wider than any stroke, `ink_on_paper` sees only the rim. A shadow is dark,
    too, but reaches the edge of the picture.
    """
    areas, _ = ndimage.label(grey <= np.quantile(grey[is_digit], 0.9))
    is_area = np.bincount(areas[is_digit], minlength=areas.max() + 1) > 0
    is_area[[0, *border_of(areas)]] = False
    if np.count_nonzero(is_area[areas] & ~is_digit) > 0.5 * np.count_nonzero(is_digit):
        raise InputError("found a filled area; expected the strokes of a digit")


def check_lines(is_digit: NDArray[np.bool_]) -> None:
    """Raise an InputError if a mark is a grid, text, the bars of a chart, or a pair of axes."""
    mark = is_digit[box_of(is_digit)]
    bump = math.ceil(BUMP * max(mark.shape))
    across, down = strokes_of(mark, axis=1), strokes_of(mark, axis=0)
    if max(np.sum(across > MOST_ACROSS), np.sum(down > MOST_DOWN)) > bump:
        raise InputError("found a pattern of lines; expected a digit")
    # Bars stand on a line, or lie beside one.
    for turned, up, beside in ((mark, down, across), (np.rot90(mark), across, down)):
        stands = (up == 1) & turned[-bump:].any(axis=0)
        if stands.mean() > FULL_LENGTH and np.sum(beside > 2) > bump:
            raise InputError("found bars; expected a digit")
    rows, columns = mark.mean(axis=1), mark.mean(axis=0)
    is_corner = min(rows[-bump:].max(), columns[:bump].max()) > FULL_LENGTH
    is_open = max(rows[:bump].max(), columns[-bump:].max()) < FULL_LENGTH
    # A 1 with a foot is narrower.
    if is_corner and is_open and min(mark.shape) > max(mark.shape) / 2:
        raise InputError("found the axes of a plot; expected a digit")


def strokes_of(mark: NDArray[np.bool_], axis: int) -> NDArray:
    """Count the strokes that each row (axis 1) or column (axis 0) of a mark crosses."""
    return np.count_nonzero(np.diff(np.pad(mark, 1), axis=axis), axis=axis)[1:-1] / 2


def together(parts: NDArray, main: int, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the fragments of a digit.

    Parameters
    ----------
    parts : ndarray of shape (H, W), integers
        1 to N in the N marks, 0 between them.
    main : int
        The largest mark, counted from 0.
    usable : ndarray of shape (N,), bool
        Which marks may be a part of a digit.

    Returns
    -------
    ndarray of shape (N,), bool
        Whether a mark is a part of the largest one's digit. The bar of a 5 may be a mark of its
        own, and strokes may be broken. What stands beside the rest, as tall, is another digit.
    """
    boxes = [[(side.start, side.stop) for side in box] for box in ndimage.find_objects(parts)]
    start, stop = np.moveaxis(np.array(boxes), 2, 0)
    belongs = np.arange(len(boxes)) == main
    # The ends of a stroke are fainter than its edges by about a pixel each.
    width = 2 + stroke_width(parts == main + 1)
    height, length = (stop - start)[main]
    reach = max(0.15 * min(max(height, length), 3 * height), width)
    while True:
        first, last = start[belongs].min(axis=0), stop[belongs].max(axis=0)
        distance = ndimage.distance_transform_edt(~np.append(False, belongs)[parts])
        gaps = ndimage.minimum(distance, parts, 1 + np.arange(len(boxes))) - 1
        height = np.maximum(stop, last)[:, 0] - np.minimum(start, first)[:, 0]
        is_beside = np.maximum(start - last, first - stop)[:, 1] > 0
        is_beside &= np.minimum((stop - start)[:, 0], (last - first)[0]) >= 0.5 * height
        found = belongs | (gaps <= reach) & ~is_beside & usable
        if (found == belongs).all():
            return belongs
        belongs, reach = found, width


def box_of(is_ink: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Find the rows and columns between the outermost true values."""
    return ndimage.find_objects(is_ink.astype(int))[0]


def widen(ink: Floats) -> Floats:
    """Widen the strokes of a fine pen to `THINNEST_STROKE`; MNIST's pens were not as fine.

    Parameters
    ----------
    ink : ndarray of shape (H, W), float, values >= 0
        A digit with at least half a stroke of space around it.

    Returns
    -------
    ndarray of shape (H, W), float
    """
    is_stroke = ink > DRAWING_EDGE * ink.max()
    missing = THINNEST_STROKE * max(is_stroke[box_of(is_stroke)].shape) - stroke_width(is_stroke)
    # Of MNIST's images none lacks 0.7 pixels.
    return ndimage.grey_dilation(ink, 1 + max(math.floor(missing + 0.3), 0))


def stroke_width(is_stroke: NDArray[np.bool_]) -> float:
    """Estimate how wide strokes are, in pixels: four times the mean distance from their edge."""
    # In half pixels, so that a line of a single pixel has an inside. The edge is one half of such a
    # half away from the first one outside.
    halves = np.kron(np.pad(is_stroke[box_of(is_stroke)], 1), np.ones((2, 2)))
    return 2 * (ndimage.distance_transform_edt(halves)[halves > 0].mean() - 0.5)


def to_mnist(ink: NDArray) -> NDArray[np.uint8]:
    """Scale a digit into a box of 20×20 pixels, and its center of mass into the middle of 28×28.

    The script of the page, ``report/try_it.js``, does the same in JavaScript.

    Parameters
    ----------
    ink : ndarray of shape (H, W), numbers >= 0, not all 0

    Returns
    -------
    ndarray of shape (28, 28), uint8, values 0 to 255
        The longer side of what has `DRAWING_EDGE` of the most ink becomes 20 pixels, the shorter
        one a whole number, so that an image of MNIST stays as it is. A pixel is the mean of the
        area that it covers. The most is 255. What is outside of the 28×28 pixels is lost.
    """
    rows, columns = box_of(ink > DRAWING_EDGE * ink.max())
    longest = max(rows.stop - rows.start, columns.stop - columns.start)
    amounts = coverage(rows, longest, len(ink)) @ ink @ coverage(columns, longest, len(ink.T)).T
    # A little more than a half, so that rounding errors do not decide about halves.
    digit = np.floor(255 * amounts / amounts.max() + 0.500001).astype(int)
    top, left = (
        int((2 * np.arange(len(sums)) - 27) @ sums // (2 * sums.sum())) + SIDE
        for sums in (digit.sum(axis=1), digit.sum(axis=0))
    )
    return np.pad(digit, SIDE)[top : top + SIDE, left : left + SIDE].astype(np.uint8)


def coverage(strokes: slice, longest: int, length: int) -> Floats:
    """Compute which part of each old row or column lies in each new one.

    Parameters
    ----------
    strokes : slice
        The rows or columns of the digit.
    longest : int
        What becomes 20 new ones.
    length : int
        How many old ones there are.

    Returns
    -------
    ndarray of shape (new, length), float, values 0 to 1
        With four new ones before and after the strokes.
    """
    size = strokes.stop - strokes.start
    count = max((2 * BOX_SIDE * size + longest) // (2 * longest), 1)
    edges = strokes.start + np.arange(-BOX_MARGIN, count + BOX_MARGIN + 1) * size / count
    # Which part of each old one lies before each edge.
    before = np.clip(edges[:, np.newaxis] - np.arange(length), 0, 1)
    return np.diff(before, axis=0)
