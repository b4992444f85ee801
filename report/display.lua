-- Put every displayed formula into a box of its own, which scrolls where the screen is narrow.
function Math(formula)
  if formula.mathtype == "DisplayMath" then
    return pandoc.Span(formula, { class = "display" })
  end
end
