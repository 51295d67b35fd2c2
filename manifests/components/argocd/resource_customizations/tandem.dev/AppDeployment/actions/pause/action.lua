-- This revision stays at its step until somebody resumes it.
local os = require("os")
if obj.status == nil or obj.status.candidate == nil then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/pause"] = tostring(obj.status.candidate.revision)
obj.metadata.annotations["tandem.dev/decided"] =
  "pause " .. obj.metadata.annotations["tandem.dev/pause"] .. " " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
obj.metadata.annotations["tandem.dev/decided-because"] = nil
return obj
