-- What paper and screen share: nothing is dropped silently, words and units stay with their numbers,
-- superscripts are set as such, and decimals in a column of a table are aligned.

local HARD_SPACE, NARROW_SPACE, MINUS = "\u{a0}", "\u{202f}", "\u{2212}"
local SUPERSCRIPTS = {
  ["⁻"] = MINUS, ["⁰"] = "0", ["¹"] = "1", ["²"] = "2", ["³"] = "3", ["⁴"] = "4", ["⁵"] = "5",
  ["⁶"] = "6", ["⁷"] = "7", ["⁸"] = "8", ["⁹"] = "9",
}
local TIED = {
  batch = true, epoch = true, epochs = true, figure = true, figures = true, row = true, seed = true,
  step = true, steps = true, task = true, tasks = true,
}

-- Pandoc drops TeX outside formulas, and prints formulas that it does not recognise as text.
local function refuse_raw(raw)
  error("'" .. raw.text:sub(1, 60) .. "' is outside a formula; put it between $$", 0)
end

local function refuse_dollars(text)
  -- A dollar beside a digit is money.
  if text.text:find("$", 1, true) and not text.text:find("%d") then
    error("a formula was not recognised at '" .. text.text .. "': it must not contain a blank line, "
      .. "nor a space after its first or before its last single dollar", 0)
  end
end

-- "figure 3", "step 978" and "785 × 10" stay on one line; so does "98 %", with a narrow space.
local function tie(inlines)
  for i, inline in ipairs(inlines) do
    local before, after = inlines[i - 1] or {}, inlines[i + 1] or {}
    if inline.t == "Str" then
      inline.text = inline.text:gsub("(%d)" .. HARD_SPACE .. "%%", "%1" .. NARROW_SPACE .. "%%")
    elseif inline.t == "Space" and before.t == "Str" and after.t == "Str" then
      if before.text:find("%d$") and after.text:find("^%%") then
        inlines[i] = pandoc.Str(NARROW_SPACE)
      elseif before.text == "×" or after.text == "×"
        or after.text:find("^%d") and TIED[before.text:lower():gsub("^%(", "")] then
        inlines[i] = pandoc.Str(HARD_SPACE)
      end
    end
  end
  return inlines
end

-- The superscripts of Unicode are small, and come from several fonts.
local function superscripts(text)
  local inlines, plain, raised = pandoc.Inlines({}), "", ""
  local function flush()
    if plain ~= "" then inlines:insert(pandoc.Str(plain)) end
    if raised ~= "" then inlines:insert(pandoc.Superscript(pandoc.Str(raised))) end
    plain, raised = "", ""
  end
  for character in text.text:gmatch(utf8.charpattern) do
    local sign = SUPERSCRIPTS[character]
    if raised ~= "" and not sign then flush() end
    if sign then raised = raised .. sign else plain = plain .. character end
  end
  flush()
  return inlines
end

-- Split a cell into numbers, the text before each of them, and the rest. Cells with the same words
-- between their numbers have the same pattern, and can be aligned with each other.
local function numbers_of(cell)
  local block, words = cell.contents[1], #cell.contents == 1
  pandoc.Plain(block and block.content or {}):walk({
    Inline = function(inline) words = words and (inline.t == "Str" or inline.t == "Space") end,
  })
  if not words then return nil end
  -- One byte for each special character makes the patterns below possible.
  local text = pandoc.utils.stringify(block):gsub(MINUS, "\1"):gsub(NARROW_SPACE .. "(%d)", "\2%1")
  local numbers, pattern, last = {}, "", 1
  for start, sign, whole, decimals, stop in text:gmatch("()([+\1]?)(%d[%d\2]*)(%.?%d*)()") do
    local before = text:sub(last, start - 1)
    table.insert(numbers, { before = before, sign = sign, whole = whole, decimals = decimals })
    pattern, last = pattern .. before .. "\0", stop
  end
  return numbers, pattern .. text:sub(last), text:sub(last)
end

-- Room as wide as some characters, which are neither seen, nor read aloud, nor copied.
local function room(text)
  text = text:gsub("\1", MINUS):gsub("\2", NARROW_SPACE)
  if text == "" then
    return pandoc.Inlines({})
  elseif FORMAT == "typst" then
    return pandoc.Inlines({ pandoc.RawInline("typst", "#hide[" .. text .. "]") })
  end
  return pandoc.Inlines({ pandoc.Span({}, { class = "room", ["data-room"] = text }) })
end

local function words(text)
  text = text:gsub("\1", MINUS):gsub("\2", NARROW_SPACE):gsub(" ", HARD_SPACE)
  return pandoc.Inlines(text)
end

local function align(cells)
  local slots = {}
  for _, cell in ipairs(cells) do
    for k, number in ipairs(cell.numbers) do
      number.marks = number.whole:gsub("%d", "")
      number.digits = number.whole:gsub("\2", "")
      local slot = slots[k] or { sign = "", marks = 0, digits = 0, decimals = 0 }
      slots[k] = {
        sign = slot.sign ~= "" and slot.sign or number.sign,
        marks = math.max(slot.marks, #number.marks),
        digits = math.max(slot.digits, #number.digits),
        decimals = math.max(slot.decimals, #number.decimals),
      }
    end
  end
  for _, cell in ipairs(cells) do
    local content = pandoc.Inlines({})
    for k, number in ipairs(cell.numbers) do
      local slot = slots[k]
      -- The first number is flush right anyway.
      local left = k == 1 and "" or (number.sign == "" and slot.sign or "")
        .. ("0"):rep(slot.digits - #number.digits) .. ("\2"):rep(slot.marks - #number.marks)
      local point = (number.decimals == "" and slot.decimals > 0) and "." or ""
      local right = point .. ("0"):rep(slot.decimals - #number.decimals - #point)
      local before, bracket = number.before:match("^(.-)(%(?)$")
      content:extend(words(before) .. room(left))
      content:extend(words(bracket .. number.sign .. number.whole .. number.decimals) .. room(right))
    end
    cell.cell.contents = { pandoc.Plain(content .. words(cell.rest)) }
  end
end

-- The heading of a row stays on one line, unless it is long.
local function keep_whole(cell)
  if #pandoc.utils.stringify(cell.contents) < 40 then
    cell.contents = cell.contents:walk({ Space = function() return pandoc.Str(HARD_SPACE) end })
  end
end

-- Only columns whose cells all have the same pattern are aligned.
local function align_decimals(table_)
  for _, body in ipairs(table_.bodies) do
    for _, row in ipairs(body.body) do keep_whole(row.cells[1]) end
  end
  for column, spec in ipairs(table_.colspecs) do
    local cells, patterns = {}, {}
    for _, body in ipairs(table_.bodies) do
      for _, row in ipairs(body.body) do
        local cell = row.cells[column]
        local numbers, pattern, rest = numbers_of(cell)
        patterns[pattern or ""] = true
        table.insert(cells, { cell = cell, numbers = numbers, rest = rest })
      end
    end
    local pattern = next(patterns)
    if spec[1] == "AlignRight" and pattern and pattern:find("\0") and not next(patterns, pattern) then
      align(cells)
    end
  end
  return table_
end

-- The first heading of the notebook is the title.
local function take_title(doc)
  local first = doc.blocks[1]
  if first and first.t == "Header" and first.level == 1 then
    doc.meta.title = first.content
    doc.blocks:remove(1)
  end
  return doc
end

return {
  { RawInline = refuse_raw, RawBlock = refuse_raw, Str = refuse_dollars, Inlines = tie },
  { Table = align_decimals, Pandoc = take_title },
  { Str = superscripts },
}
