-- The run that waits, by its MLflow id: no other is rejected by this word.
local os = require("os")
if obj.status == nil or obj.status.approval == nil or obj.status.approval.state ~= "Awaiting" then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/rejected"] = obj.status.approval.mlflowRunId
obj.metadata.annotations["tandem.dev/decided"] =
  "rejected " .. obj.metadata.annotations["tandem.dev/rejected"] .. " " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
obj.metadata.annotations["tandem.dev/decided-because"] = nil
return obj
