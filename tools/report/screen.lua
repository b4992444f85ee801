-- What the page needs beyond pandoc's own translation: boxes that scroll and can be reached with
-- the keyboard, and figures that can be enlarged.

local function box(name, class)
  local attributes = { { "tabindex", "0" }, { "role", "group" }, { "aria-label", name } }
  return pandoc.Attr("", { class }, attributes)
end

local function write(math, format)
  local options = pandoc.WriterOptions({ html_math_method = "mathml" })
  return pandoc.write(pandoc.Pandoc({ pandoc.Plain({ math }) }), format, options)
end

-- A hat over a single letter does not stretch; pandoc does not tell \hat from \widehat.
local function mathml(math)
  local source = write(math, "html"):gsub("(<mover><mi>[^<]*</mi><mo accent=\"true\")>", '%1 stretchy="false">')
  return pandoc.RawInline("html", source)
end

local function formula(math)
  if math.mathtype == "DisplayMath" then
    return pandoc.Span(mathml(math), box("Formula", "display"))
  end
  return mathml(math)
end

-- Some screen readers skip MathML in the headings of tables; they get the formula as plain text.
local function name_formulas(cell)
  cell.contents = cell.contents:walk({
    Math = function(math)
      local name = write(math, "plain"):gsub("%s+$", ""):gsub("[&<\"]", "")
      local raw = mathml(math)
      raw.text = raw.text:gsub("<math ", '<math aria-label="' .. name:gsub("%%", "%%%%") .. '" ', 1)
      return raw
    end,
  })
end

local function wide(table_)
  for _, row in ipairs(table_.head.rows) do
    for _, cell in ipairs(row.cells) do name_formulas(cell) end
  end
  for _, body in ipairs(table_.bodies) do
    body.row_head_columns = 1
    for _, row in ipairs(body.body) do
      name_formulas(row.cells[1])
      for _, cell in ipairs(row.cells) do
        if utf8.len(pandoc.utils.stringify(cell.contents)) < 40 then cell.classes:insert("short") end
      end
    end
  end
  local first = table_.head.rows[1]
  local label = first and pandoc.utils.stringify(first.cells[1].contents) or ""
  return pandoc.Div(table_, box("Table: " .. label, "scroll"))
end

local count = 0

-- The link lies over the image. It leads to the figure itself, and the style sheet shows the target
-- of a link large.
local function figure(element)
  count = count + 1
  local id = "figure-" .. count
  local caption = pandoc.utils.stringify(element.caption.long)
  local name = "Figure " .. (caption:match("^Figure%W+(%w+)") or count)
  local open = pandoc.Link("Enlarge", "#" .. id .. "-large", "", { class = "open" })
  local close = pandoc.Link("Close", "#" .. id, "", { class = "close" })
  open.attributes["aria-label"] = "Enlarge " .. name:lower()
  close.attributes["aria-label"] = "Close " .. name:lower()
  element = element:walk({
    Image = function(image) return pandoc.Span({ image, open }, { class = "frame" }) end,
  })
  element.identifier = id .. "-large"
  element.content = { pandoc.Div(element.content, box(name, "scroll")), pandoc.Plain({ close }) }
  return pandoc.Div(element, { id = id })
end

return { { Table = wide }, { Math = formula, Figure = figure } }
