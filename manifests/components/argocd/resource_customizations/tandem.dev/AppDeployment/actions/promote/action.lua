-- This revision takes all the traffic now; what is pending of pauses and judgements is skipped.
local os = require("os")
if obj.status == nil or obj.status.candidate == nil then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/promote"] = tostring(obj.status.candidate.revision)
obj.metadata.annotations["tandem.dev/decided"] =
  "promote " .. obj.metadata.annotations["tandem.dev/promote"] .. " " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
obj.metadata.annotations["tandem.dev/decided-because"] = nil
return obj
