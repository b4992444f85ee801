"""Finds the arguments of a solution's functions by the names of its parameters."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

# What solutions call the course's arguments, and others whose values can be guessed. A name is
# matched in lower case, with spaces between its words; the first pattern that fits decides.
ALIASES = {
    "l2_reg_lambda": r"l2|lam|lmbd|reg",
    "patience": r"patience|\bstop.*\b(after|checks?|counts?|limit|num|n|rounds|steps)\b",
    "early_stopping": r"stop|\bes\b",
    "learning_rate": r"\blr\b|\brate\b|\blearn",
    "batch_size": r"\bbatch",
    "shuffle_dataset": r"\bshuffle",
    "num_epochs": r"\bepochs?\b",
    "seed": r"\bseed\b",
    "fraction": r"\b(fraction|percent|percentage|ratio|split)\b",
    "quiet": r"\b(debug|log|plot|print|save|show|verbose)\b",
    "outputs": r"\b(out|outputs?|classes|class|labels?|targets?|c|k|o)\b",
    "inputs": r"\b(in|inputs?|features?|pixels?|dims?|dimensions?|size|nodes|d|i|m|n)\b",
}


def canonical(name: str) -> str | None:
    """Name the argument in `ALIASES` that a parameter of this name stands for."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
    return next((alias for alias, pattern in ALIASES.items() if re.search(pattern, words)), None)


def takes_lambda(model: Callable[..., Any]) -> bool:
    """Tell whether a model has a parameter for the λ of the penalty."""
    return any(canonical(name) == "l2_reg_lambda" for name in inspect.signature(model).parameters)


def call(
    function: Callable[..., Any], arguments: Mapping[str, Any], guesses: Mapping[str, Any]
) -> Any:
    """Call a solution's function with the course's arguments, wherever it has put them.

    Parameters
    ----------
    function : callable
    arguments : mapping of str to object
        The arguments that the course names, in its order. A required parameter that cannot be told
        by its name gets the next one of those that no name has claimed.
    guesses : mapping of str to object
        Values of other parameters, by their names in `ALIASES`. Optional parameters keep their
        defaults, except for the λ of a penalty and for a switch that turns early stopping on.

    Returns
    -------
    object

    Raises
    ------
    TypeError
        If a required parameter is left. Python's message names it.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function(*arguments.values())
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    exact = {name.lower(): name for name in arguments}
    left = dict(arguments)
    values = {p.name: left.pop(exact[p.name.lower()]) for p in named if p.name.lower() in exact}
    unnamed = []
    for parameter in (p for p in named if p.name not in values):
        alias = canonical(parameter.name) or ""
        is_required = parameter.default is parameter.empty
        is_switch = alias == "early_stopping" and parameter.default is False
        if alias in left and is_required:
            values[parameter.name] = left.pop(alias)
        elif alias in guesses and (is_required or is_switch or alias == "l2_reg_lambda"):
            values[parameter.name] = guesses[alias]
        elif is_required:
            unnamed.append(parameter.name)
    values |= zip(unnamed, left.values(), strict=False)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        values |= {name: left[name] for name in list(left)[len(unnamed) :]}
    return function(**values)
