local actions = {}
local status = obj.status or {}
local notes = obj.metadata.annotations or {}

local candidate = status.candidate
local tried = candidate ~= nil
local waits = status.approval ~= nil and status.approval.state == "Awaiting"
local paused = tried and tonumber(notes["tandem.dev/pause"] or "") == candidate.revision

local failed, watched, undecided = false, false, false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "RolledOut" then
    watched = condition.reason == "Watching"
    undecided = condition.reason == "AnalysisInconclusive"
  end
  if condition.type == "Stalled" and condition.status == "True" then
    failed = true
  end
end

actions["approve"] = { disabled = not waits, displayName = "Approve this step" }
actions["promote"] = { disabled = not tried, displayName = "Promote in full, now" }
actions["abort"] = { disabled = not tried and not watched, displayName = "Abort the rollout" }
actions["pause"] = { disabled = not tried or paused, displayName = "Pause the rollout" }
actions["resume"] = { disabled = not paused, displayName = "Resume the rollout" }
actions["retry"] = { disabled = not failed and not undecided, displayName = "Try again" }

return actions
