-- The health of a BackendPolicy, from the conditions that serin writes.
local hs = {}

if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Waiting for serin to observe the spec."
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

for _, kind in ipairs({"Accepted", "ResolvedRefs"}) do
  if is(kind, "False") then
    hs.status = "Degraded"
    hs.message = conditions[kind].message
    return hs
  end
end

if is("Ready", "True") then
  hs.status = "Healthy"
  hs.message = conditions["Ready"].message
else
  hs.status = "Progressing"
  hs.message = "Waiting for serin to serve it."
  for _, kind in ipairs({"Programmed", "Ready"}) do
    if is(kind, "False") then
      hs.message = conditions[kind].message
      return hs
    end
  end
end
return hs
