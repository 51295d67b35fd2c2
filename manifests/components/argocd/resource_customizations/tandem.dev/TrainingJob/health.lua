-- kstatus: Ready, Reconciling and Stalled, each of them of the generation that the spec has now (docs/spec/status.md).
-- Only Lua's base library is used: a script from argocd-cm has no other.
local health = { status = "Progressing", message = "Waiting for Tandem to look at it" }

local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local told = {}
for _, condition in ipairs(status.conditions or {}) do
  told[condition.type] = condition
end

local ready = told["Ready"]
if ready == nil then
  return health
end
health.message = ready.message

if told["Stalled"] ~= nil and told["Stalled"].status == "True" then
  health.status = "Degraded"
  return health
end
if ready.status == "True" then
  health.status = "Healthy"
  return health
end

-- What goes on, or is tried again, progresses. Where nothing does, a person is asked; and somebody holds what is
-- suspended, paused or frozen.
local goes_on = told["Reconciling"] ~= nil and told["Reconciling"].status == "True"
local held = { Suspended = true, Paused = true, Frozen = true }
if not goes_on or held[ready.reason] then
  health.status = "Suspended"
end
return health
