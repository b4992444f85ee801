-- What Typst needs beyond pandoc's own translation: alternative texts, formulas that do not break, and
-- the title block.

local function typst_of(block)
  return (pandoc.write(pandoc.Pandoc({ block }), "typst"):gsub("%s+$", ""))
end

local function quoted(text)
  return '"' .. text:gsub("%s+", " "):gsub("\\", "\\\\"):gsub('"', '\\"') .. '"'
end

-- PDF/UA requires an alternative text for each formula: its TeX source. A box does not break.
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

-- A heading, the answer below it, its figure or table, and the text after it share a page. Between two
-- figures or tables a page may end.
local function keep_together(doc)
  local blocks, shown = pandoc.List(), { Figure = true, Table = true }
  for i, block in ipairs(doc.blocks) do
    local before, after = doc.blocks[i - 1] or {}, doc.blocks[i + 1] or {}
    local is_answer = block.t == "Para" and before.t == "Header" and shown[after.t]
    local stays = is_answer or shown[block.t] and after.t == "Para"
    if stays then blocks:insert(pandoc.RawBlock("typst", "#block(sticky: true, width: 100%)[")) end
    blocks:insert(block)
    if stays then blocks:insert(pandoc.RawBlock("typst", "]")) end
  end
  doc.blocks = blocks
  return doc
end

-- What is below the title: the data and their source, how the report was made.
local function title_block(div)
  if div.classes:includes("title-block") then
    return { pandoc.RawBlock("typst", "#title-block["), div, pandoc.RawBlock("typst", "]") }
  end
end

return { { Math = formula }, { Pandoc = keep_together }, { Figure = figure, Div = title_block } }
