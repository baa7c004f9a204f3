-- The health of a CanaryRelease, from the status that serin writes.
local hs = {}

if obj.status == nil or obj.status.phase == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Waiting for serin to observe the spec."
  return hs
end

local phase = obj.status.phase
local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

-- The whole sentence of a condition; the status's own message is cut to the width of a terminal.
local function said(kind)
  if conditions[kind] ~= nil and conditions[kind].message ~= nil then
    return conditions[kind].message
  end
  return obj.status.message
end

-- It decides nothing, so nothing of what it names is missed.
local idle = phase == "Completed" or phase == "Disabled"

if phase == "Aborted" then
  hs.status = "Degraded"
  hs.message = said("Stalled")
elseif is("Accepted", "False") then
  hs.status = "Degraded"
  hs.message = said("Accepted")
elseif is("ResolvedRefs", "False") and not idle then
  hs.status = "Degraded"
  hs.message = said("ResolvedRefs")
elseif is("Degraded", "True") then
  hs.status = "Degraded"
  hs.message = said("Degraded")
elseif phase == "Paused" then
  hs.status = "Suspended"
  hs.message = said("Progressing")
elseif phase == "Scheduled" then
  hs.status = "Suspended"
  hs.message = obj.status.message
elseif phase == "Pending" or phase == "Progressing" then
  hs.status = "Progressing"
  hs.message = obj.status.message
elseif idle then
  hs.status = "Healthy"
  hs.message = obj.status.message
elseif phase == "Steady" or phase == "Promoted" then
  -- Such as a route that is gone, or a replica that does not answer.
  if is("Programmed", "False") then
    hs.status = "Progressing"
    hs.message = said("Programmed")
  elseif is("Ready", "False") then
    hs.status = "Progressing"
    hs.message = said("Ready")
  else
    hs.status = "Healthy"
    hs.message = obj.status.message
  end
else
  hs.status = "Unknown"
  hs.message = "This script does not know phase " .. phase .. "."
end
return hs
