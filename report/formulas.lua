-- PDF/UA wants an alternative text for each formula: its TeX source, which pandoc else drops.
function Math(formula)
  local typst = pandoc.write(pandoc.Pandoc({ pandoc.Plain({ formula }) }), "typst")
  local alt = formula.text:gsub("%s+", " "):gsub("\\", "\\\\"):gsub('"', '\\"')
  return pandoc.RawInline("typst", '#[#set math.equation(alt: "' .. alt .. '")\n' .. typst:gsub("%s+$", "") .. "]")
end
