"""Labels of figures keep clear of each other and of the axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from runs.figures import figure_norms, figure_templates


def boxes_of(figure, texts):
    """Draw a figure, and list the boxes of some of its texts, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    return [text.get_window_extent(renderer) for text in texts()]


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_labels_of_neighbouring_colour_bars_are_apart(rng, rows):
    scales = rng.uniform(1e-3, 1, rows)
    weights = {f"row {k}": rng.normal(0, scale, (785, 10)) for k, scale in enumerate(scales)}
    figure = figure_templates(weights)
    bars = [axes for axes in figure.axes if not axes.images]
    boxes = boxes_of(figure, lambda: [text for bar in bars for text in bar.get_yticklabels()])
    assert len(boxes) == 3 * rows
    height = np.mean([box.height for box in boxes])
    for one, other in itertools.combinations(boxes, 2):
        gap = max(one.y0 - other.y1, other.y0 - one.y1)
        assert gap > height / 4


@pytest.mark.parametrize("smallest", [0.362, 1e-4, 9.9])
def test_values_beside_norms_stand_above_the_axis(smallest):
    norms = {0: 24.3, 0.01: 10.6, 1: smallest}
    figure = figure_norms(norms, [])
    (axes,) = figure.axes
    boxes = boxes_of(figure, lambda: axes.texts)
    assert boxes
    assert min(box.y0 for box in boxes) > axes.get_window_extent().y0 + 2
