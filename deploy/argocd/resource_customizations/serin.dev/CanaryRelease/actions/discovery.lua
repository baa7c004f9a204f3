-- Which commands serin would not refuse. What only its clock knows, such as the end of a window, it decides when the command comes.
local actions = {}
for _, name in ipairs({"promote", "abort", "pause", "resume", "skip", "retry"}) do
  actions[name] = {["disabled"] = true}
end

local function allow(name, allowed)
  actions[name]["disabled"] = not allowed
end

-- A command carries the id of the release that it is for.
if obj.status == nil or obj.status.release == nil or obj.status.release.id == nil then
  return actions
end

local phase = obj.status.phase
local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

local function reason(kind)
  return conditions[kind] ~= nil and conditions[kind].reason or ""
end

local ended = phase == "Completed" or phase == "Disabled" or phase == "Aborted"
allow("abort", not ended)

-- Without an accepted spec there is nothing that another command could mean.
if is("Accepted", "False") then
  return actions
end

allow("retry", phase == "Aborted")
if ended then
  return actions
end

local progress = obj.status.progress or {}
local pauses = progress.pauses or {}
local strategy = obj.spec.strategy
allow("pause", phase ~= "Promoted" and not pauses.command)
-- A preview is not resumed but promoted, and `spec.paused` ends by an edit.
allow("resume", pauses.command or pauses.analysis or (pauses.step and strategy.blueGreen == nil))

-- A percentage, weights and groups are orders of their own.
local moves = strategy.steps ~= nil or strategy.linear ~= nil or strategy.blueGreen ~= nil
local frozen = obj.spec.schedule ~= nil and obj.spec.schedule.frozen
local closed = frozen or reason("Progressing") == "Window"
local advances = moves and not closed and not obj.spec.paused and (phase == "Progressing" or phase == "Paused")
local resolved = is("ResolvedRefs", "True") and reason("Programmed") ~= "NoRoute"
local canary = reason("Degraded") ~= "CanaryUnavailable"

local follows = reason("Programmed") ~= "PeerUnreachable" and reason("Programmed") ~= "ClockSkew"
allow("promote", advances and resolved and canary and follows and reason("Progressing") ~= "WaitingForRollout")

local step = obj.status.step
local runs = progress.running ~= nil and step ~= nil and progress.running.index < step.of
local held = pauses.command or pauses.analysis
allow("skip", advances and resolved and runs and not held and is("Programmed", "True") and (canary or strategy.blueGreen == nil))

return actions
