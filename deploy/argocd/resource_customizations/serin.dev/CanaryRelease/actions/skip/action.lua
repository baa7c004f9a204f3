-- The running step ends, and the next one begins.
-- Each command has a token of its own, `<release id>-<n>`: it is for this release and no other, and n is one more than the greatest that was
-- used. Scripts of actions have no string library, so a token is read by comparing; one that is too long for a token is none.
local symbols = {"-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}

-- Whether a text has this beginning: no byte of UTF-8 is 255.
local function begins(text, beginning)
  return text >= beginning and text < beginning .. "\255"
end

-- The number of the token after this beginning of a text, else 0.
local function number(text, beginning)
  if not begins(text, beginning) or #text > 64 then
    return 0
  end
  local n = nil
  while beginning ~= text do
    local symbol = nil
    for _, candidate in ipairs(symbols) do
      if begins(text, beginning .. candidate) then
        symbol = candidate
      end
    end
    if symbol == nil then
      return 0
    end
    beginning = beginning .. symbol
    if symbol == "-" then
      n = 0
    elseif n ~= nil and tonumber(symbol) ~= nil then
      n = n * 10 + tonumber(symbol)
    else
      n = nil
    end
  end
  -- From 2^53 on, a number and the next one are the same here.
  return n ~= nil and n < 9007199254740992 and n or 0
end

local function token()
  local status = obj.status or {}
  if status.release == nil or status.release.id == nil then
    error("serin has not begun this release: there is nothing to command yet", 0)
  end
  local annotations = obj.metadata.annotations or {}
  local command = annotations["serin.dev/command"] or ""
  local used = {
    number(status.lastCommand and status.lastCommand.token or "", ""),
    number(status.lastAbort and status.lastAbort.token or "", ""),
    number(annotations["serin.dev/abort"] or "", ""),
  }
  for _, verb in ipairs({"promote", "pause", "resume", "skip", "retry"}) do
    table.insert(used, number(command, verb .. "@"))
  end
  table.sort(used)
  return status.release.id .. "-" .. (used[#used] + 1)
end

local value = "skip@" .. token()
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["serin.dev/command"] = value
return obj
