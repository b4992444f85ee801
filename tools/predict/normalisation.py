"""From a picture in shades of grey to the 28×28 pixels that MNIST would have made of its digit."""

import math
from collections.abc import Iterator

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

# How much ink a stroke has at its edge, compared to the pixel with the most. The halos in JPEGs and
# the fringes of enlarged images have less.
EDGE = 0.25
# The same in photographs of plain paper, where ink may be uneven, and of lined paper: lines have
# less.
PLAIN_EDGE, PHOTOGRAPH_EDGE = 0.3, 0.5
# A stroke narrower than the first part of the digit's longer side is widened to the second one:
# MNIST's pens were not as fine, and the models have seen no others.
FINE_STROKE, USUAL_STROKE = 1 / 20, 1 / 8
# Ink differs from the background by more than this many standard deviations of its noise; in
# photographs it also takes more than this part of the light.
NOISE_LIMIT = 6
FAINTEST_INK = 0.15
# The longer side of the smallest digit, compared to the picture's, and in pixels.
SPECK_SIDE, SPECK_PIXELS = 0.02, 4
# In a panel; an 8 has two, careless ones a few more.
MOST_HOLES = 6
# The diameter of the largest disk in the ink, compared to the longer side: one of 900 digits
# of MNIST has more; a filled square or circle has 1.
WIDEST_STROKE = 0.5
# How much of its box a digit fills, unless it is a narrow 1.
FULL = 0.85
# The same of bars without space between them; a 1 with a foot fills less.
BROAD = 0.45
# How many strokes a row and a column of a digit cross, but for a tenth of its longer side: a wide 4
# has three beside each other, a curly 3 four above each other; bars, faces and curves have more.
MOST_ACROSS, MOST_DOWN, CURLS = 3, 4, 0.1
# How much of its box a frame fills with what is in it. MNIST's 0 and 8 fill at most 0.88.
FRAME = 0.9
# The longer side in pixels.
SMALLEST_PHOTOGRAPH = 100
EIGHT_NEIGHBOURS = np.ones((3, 3))


def normalise(grey: NDArray) -> NDArray[np.uint8]:
    """Find the digit in a drawing or a photograph, and crop, scale and center it as MNIST does.

    Parameters
    ----------
    grey : ndarray of shape (H, W), numbers, finite
        A drawing on a background of one shade, dark on light or light on dark; or a photograph of
        dark ink on paper, plain or with lines, however the light falls on it. It may be in a frame.

    Returns
    -------
    ndarray of shape (28, 28), uint8, values 0 to 255
        Light on dark, as `to_mnist` gives it.

    Raises
    ------
    ValueError
        If there is no digit, or more than one. It says what was found.
    """
    inside = inside_of_frame(grey, np.abs(grey - np.median(border_of(grey))), EDGE)
    if inside is None and max(grey.shape) >= SMALLEST_PHOTOGRAPH:
        inside = inside_of_frame(grey, ink_on_paper(grey, 1 / 2), PHOTOGRAPH_EDGE)
    if inside is not None:
        try:
            return normalise(inside)
        except InputError as error:
            raise InputError(f"in a frame or on a panel: {error}") from None
    problems: dict[float, ValueError] = {}
    for ink, edge, may_touch in readings(grey):
        try:
            return to_mnist(widen(cut_out(ink, edge, may_touch)))
        except InputError as error:
            problems.setdefault(edge, error)
    # The limit that is meant for any paper tells most of what there is.
    raise problems.get(PHOTOGRAPH_EDGE) or problems[EDGE]


def inside_of_frame(grey: NDArray, ink: NDArray, edge: float) -> NDArray | None:
    """Find what is in a frame, on a panel of another shade, or between the axes of a plot.

    Parameters
    ----------
    grey, ink, edge
        As in `normalise` and `cut_out`.

    Returns
    -------
    ndarray of shape (h, w), numbers, or None if there is no frame
        A part of `grey`.

    Raises
    ------
    ValueError
        If what is in the frame is no digit.
    """
    parts, _ = ndimage.label(ink > edge * ink.max(), EIGHT_NEIGHBOURS)
    boxes = ndimage.find_objects(parts)
    areas = np.array([parts[box].size for box in boxes])
    largest = int(np.argmax(areas)) if boxes else 0
    if not boxes or largest + 1 in border_of(parts):
        return None
    rows, columns = boxes[largest]
    marks = parts[rows, columns]
    frame = marks == largest + 1
    longest = max(frame.shape)
    filled = ndimage.binary_fill_holes(frame)
    holes, count = ndimage.label(filled & ~frame)
    is_frame = filled.mean() >= FRAME and min(frame.shape) >= longest / 4 and count > 0
    similar = 1 + np.flatnonzero(areas > areas[largest] / 2)
    if is_frame and not np.isin(similar, marks).all():
        raise InputError(f"found {len(similar)} frames or panels; expected a single digit")
    hole = holes == np.argmax(np.bincount(holes[holes > 0], minlength=2))
    content = (hole & (marks > 0)).any(axis=0)
    # A panel has holes, one of which may be another panel; a frame is a line around one hole.
    is_many = content.any() or count > MOST_HOLES
    if frame.mean() > 0.5 or (frame.mean() > 0.25 and hole.mean() < 0.5 and is_many):
        # The holes are the digit, if they are more than specks.
        if is_frame and max(holes[box_of(holes > 0)].shape) > longest / 5:
            margin = 1 + longest // 50
            return grey[rows, columns][margin:-margin, margin:-margin]
    elif is_frame and count <= MOST_HOLES:
        # The line of a square 0 is broader, and there is nothing in it.
        down, across = box_of(hole)
        is_thin = frame.mean() < 0.2 or max(hole[down, across].shape) > 0.92 * longest
        if (content.any() or is_thin) and not 0 < content.sum() < 0.85 * len(content):
            raise InputError("found a frame, as of a plot, without a digit; expected a digit")
        if content.any():
            return grey[rows, columns][down, across][1:-1, 1:-1]
    # Not a dark place in uneven ink; shadows reach the edge of the picture.
    faint, _ = ndimage.label(ink > EDGE * ink.max(), EIGHT_NEIGHBOURS)
    amount = np.count_nonzero(~np.isin(faint, [0, *border_of(faint)]))
    if frame.sum() > 0.6 * amount and longest >= smallest_digit(ink.shape):
        check_strokes(frame)
    return None


def readings(grey: NDArray) -> Iterator[tuple[Floats, float, bool]]:
    """Tell ink from background in several ways, for `cut_out`; the first that succeeds is right.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        As in `normalise`.

    Yields
    ------
    ink : ndarray of shape (H, W), float, values >= 0
        How much ink a pixel has.
    edge : float
        How much a stroke has at its edge, compared to the pixel with the most.
    may_touch : bool
        Whether the digit may reach the edge of the picture.
    """
    border = border_of(grey)
    contrast = np.median(border) - grey
    if contrast.sum() < 0:
        contrast = -contrast
    drawn = np.maximum(contrast, 0)
    is_drawing = spread(border) <= 0.005 * contrast.max()
    if is_drawing:
        yield drawn, EDGE, False
    side = max(grey.shape)
    # What an opening leaves is wider than any stroke: shadows, and light from one side. For what is
    # so wide, a fourth of the rows and columns is enough.
    step = 4 if side >= SMALLEST_PHOTOGRAPH else 1
    wide = math.ceil(0.4 * side / step)
    light = ndimage.grey_opening(contrast[::step, ::step], wide, mode="constant")
    is_even = np.ptp(light) <= 0.1 * contrast.max()
    if side >= SMALLEST_PHOTOGRAPH or not is_drawing:
        dark_on_light = grey.max() - contrast if is_even else grey
        ink = ink_on_paper(dark_on_light, 1 / 6)
        noise = np.median(ink) + NOISE_LIMIT * spread(ink)
        ink = np.where(ink.max() > max(FAINTEST_INK, noise), ink, 0)
        # Uneven ink is read as a whole where the paper is plain.
        if PLAIN_EDGE * ink.max() > noise:
            yield ink, PLAIN_EDGE, False
        if ink.any() or not is_drawing:
            yield ink, PHOTOGRAPH_EDGE, False
    if is_even and (is_drawing or side < SMALLEST_PHOTOGRAPH):
        yield drawn, EDGE, True


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


def cut_out(ink: Floats, edge: float, may_touch: bool) -> Floats:
    """Cut out the one digit of a picture.

    Parameters
    ----------
    ink, edge, may_touch
        As `readings` gives them.

    Returns
    -------
    ndarray of shape (h, w), float, values >= 0
        The digit's ink with some space around it; other marks and lines are left out.

    Raises
    ------
    ValueError
        If there is no digit, or more than one. It says what was found.
    """
    if not ink.any():
        raise InputError("nothing stands out from the background; expected a digit")
    parts, count = ndimage.label(ink > edge * ink.max(), EIGHT_NEIGHBOURS)
    mass = np.bincount(parts.ravel(), ink.ravel())[1:]
    touched = np.unique(border_of(parts))
    is_inside = ~np.isin(np.arange(1, count + 1), touched) | may_touch
    main = int(np.argmax(mass))
    # With a low limit it takes only drawings with nothing else in them, and plain paper.
    if edge < PHOTOGRAPH_EDGE:
        others = np.sum(mass[~is_inside])
        is_plain = edge > EDGE and is_inside[main] and others <= 0.3 * mass[main]
        mass = mass * is_inside * (is_plain or others == 0)
    elif not (is_inside[main] or is_cut_off(ink, parts, main, mass)):
        sides = [max(parts[box].shape) for box in ndimage.find_objects(parts)]
        mass = mass * is_inside * (max(sides * is_inside) >= smallest_digit(ink.shape))
    main = int(np.argmax(mass))
    if not mass[main]:
        raise InputError("found only lines or shadows that reach the edge; expected a digit")
    marks = np.count_nonzero(mass >= 0.1 * mass[main])
    if marks >= 10:
        raise InputError(f"found {marks} marks, as in text or broken lines; expected a digit")
    belongs = together(parts, main, mass > 0)
    marks = 1 + np.count_nonzero(~belongs & (mass >= 0.1 * mass[belongs].sum()))
    if marks > 1:
        raise InputError(f"found {marks} marks; expected a single digit")
    is_digit = np.append(False, belongs & (mass >= 0.01 * mass[main]))[parts]
    height, width = is_digit[box_of(is_digit)].shape
    longest = max(height, width)
    if longest < smallest_digit(ink.shape):
        raise InputError("found nothing larger than a speck; expected a digit")
    if width > 3 * height:
        raise InputError("found a line or a row of letters; expected a digit")
    # The white between hatched lines is a part of their stroke.
    gap = max(round(longest / 25), 1)
    closed = ndimage.grey_closing(is_digit.astype(np.uint8), gap) > 0
    check_strokes(closed)
    check_lines(closed)
    reach = math.ceil(longest / (2 if edge == EDGE else 20))
    is_near = ndimage.maximum_filter(is_digit, 2 * reach + 1) & np.append(True, belongs)[parts]
    return np.pad(np.where(is_near, ink, 0)[box_of(is_near)], reach)


def smallest_digit(shape: tuple[int, ...]) -> float:
    """Give the longer side of the smallest digit in a picture, in pixels."""
    return max(SPECK_PIXELS, SPECK_SIDE * max(shape))


def check_strokes(is_digit: NDArray[np.bool_]) -> None:
    """Raise a ValueError if a mark is filled, not drawn with strokes."""
    mark = np.pad(is_digit[box_of(is_digit)], 1)
    widest = 2 * ndimage.distance_transform_edt(mark).max() - 1
    height, width = np.subtract(mark.shape, 2)
    is_plate = height / 2 < width <= 3 * height and mark.sum() > FULL * height * width
    if is_plate or widest > WIDEST_STROKE * max(height, width):
        raise InputError("found a filled area; expected the strokes of a digit")


def check_lines(is_digit: NDArray[np.bool_]) -> None:
    """Raise a ValueError if a mark is a bar chart, or has more lines side by side than a digit."""
    mark = is_digit[box_of(is_digit)]
    height, width = mark.shape
    longest = max(height, width)
    is_broad = width > height / 2 and mark.mean() > BROAD
    # Bars stand on a line, or lie beside one.
    for turned, most in ((mark, MOST_ACROSS), (np.rot90(mark), MOST_DOWN)):
        across, up = strokes_of(turned, axis=1), strokes_of(turned, axis=0)
        stands = (up == 1) & turned[-math.ceil(longest / 20) :].any(axis=0)
        if stands.mean() > 0.9 and (is_broad or np.count_nonzero(across > 1) > CURLS * longest):
            raise InputError("found bars or a filled area; expected the strokes of a digit")
        if np.count_nonzero(across > most) > CURLS * longest:
            raise InputError("found a pattern of lines; expected a digit")


def strokes_of(mark: NDArray[np.bool_], axis: int) -> NDArray:
    """Count the strokes that each row (axis 1) or column (axis 0) of a mark crosses."""
    return np.count_nonzero(np.diff(np.pad(mark, 1), axis=axis), axis=axis)[1:-1] / 2


def is_cut_off(ink: Floats, parts: NDArray, main: int, mass: NDArray) -> bool:
    """Tell whether a mark at the picture's edge is a digit that was cut off, or paper.

    Lines reach from side to side, shadows lie along the edge, and neither is alone.
    """
    above, below, left, right = (np.count_nonzero(side == main + 1) for side in sides_of(parts))
    longest = max(parts[box_of(parts == main + 1)].shape)
    return bool(
        ink.max() > 2 * FAINTEST_INK
        and not (above and below)
        and not (left and right)
        and above + below + left + right <= longest / 2
        and np.sum(mass >= mass[main] / 10) == 1
    )


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
    width = stroke_width(parts == main + 1)
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
    """Widen the strokes of a fine pen, until they are as wide as most of MNIST's.

    Parameters
    ----------
    ink : ndarray of shape (H, W), float, values >= 0
        A digit with at least half a stroke of space around it.

    Returns
    -------
    ndarray of shape (H, W), float
    """
    is_stroke = ink > ink.max() / 2
    longest = max(is_stroke[box_of(is_stroke)].shape)
    width = stroke_width(is_stroke)
    if width >= FINE_STROKE * longest:
        return ink
    return ndimage.grey_dilation(ink, math.ceil(USUAL_STROKE * longest - width))


def stroke_width(is_stroke: NDArray[np.bool_]) -> float:
    """Estimate how wide strokes are: four times the mean distance from their edge."""
    return 4 * ndimage.distance_transform_edt(is_stroke)[is_stroke].mean() - 1


def to_mnist(ink: NDArray) -> NDArray[np.uint8]:
    """Scale a digit into a box of 20×20 pixels, and its center of mass into the middle of 28×28.

    The script of the page, ``report/try_it.js``, does the same in JavaScript.

    Parameters
    ----------
    ink : ndarray of shape (H, W), numbers >= 0, not all 0

    Returns
    -------
    ndarray of shape (28, 28), uint8, values 0 to 255
        The longer side of what has a part of `EDGE` of the most ink becomes 20 pixels, the shorter
        one a whole number, so that an image of MNIST stays as it is. A pixel is the mean of the
        area that it covers. The most is 255. What is outside of the 28×28 pixels is lost.
    """
    rows, columns = box_of(ink > EDGE * ink.max())
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
