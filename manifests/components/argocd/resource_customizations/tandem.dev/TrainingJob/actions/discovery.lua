local actions = {}

local waits = obj.status ~= nil and obj.status.approval ~= nil and obj.status.approval.state == "Awaiting"
actions["approve"] = { disabled = not waits, displayName = "Approve the promotion" }
actions["reject"] = { disabled = not waits, displayName = "Reject the promotion" }

-- Any time: a request while a run goes on is answered after it.
actions["retry"] = { disabled = false, displayName = "Train again" }

return actions
