-- What Typst needs beyond pandoc's own translation: alternative texts, formulas that stay whole, and
-- headings that are followed by text.

local function typst_of(block)
  return (pandoc.write(pandoc.Pandoc({ block }), "typst"):gsub("%s+$", ""))
end

local function quoted(text)
  return '"' .. text:gsub("%s+", " "):gsub("\\", "\\\\"):gsub('"', '\\"') .. '"'
end

-- A figure floats. Right after a heading it would leave the heading alone at the end of a page.
local function text_first(blocks)
  for i = 1, #blocks - 2 do
    if blocks[i].t == "Header" and blocks[i + 1].t == "Figure" and blocks[i + 2].t == "Para" then
      blocks[i + 1], blocks[i + 2] = blocks[i + 2], blocks[i + 1]
    end
  end
  return blocks
end

-- PDF/UA wants an alternative text for each formula: its TeX source. A box does not break.
local function formula(math)
  local wrap = math.mathtype == "InlineMath" and "#box[" or "#["
  local source = typst_of(pandoc.Plain({ math }))
  return pandoc.RawInline(
    "typst", wrap .. "#set math.equation(alt: " .. quoted(math.text) .. ")\n" .. source .. "]")
end

local function figure(element)
  local source, alt = typst_of(element), ""
  element:walk({ Image = function(image) alt = pandoc.utils.stringify(image.caption) end })
  local described = function(name) return "image(" .. name .. ", alt: " .. quoted(alt) end
  return pandoc.RawBlock("typst", (source:gsub('image%((%b"")', described)))
end

-- What stands under the title: the data and their source, how the report was made.
local function title_block(div)
  if div.classes:includes("title-block") then
    return { pandoc.RawBlock("typst", "#title-block["), div, pandoc.RawBlock("typst", "]") }
  end
end

return { { Blocks = text_first }, { Math = formula }, { Figure = figure, Div = title_block } }
