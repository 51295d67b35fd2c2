-- Emptied, not removed: Argo CD takes a map that a script has emptied for one that it did not mean to change.
local os = require("os")
if obj.metadata.annotations ~= nil and obj.metadata.annotations["tandem.dev/pause"] ~= nil then
  obj.metadata.annotations["tandem.dev/pause"] = ""
  obj.metadata.annotations["tandem.dev/decided"] = "pause none " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
  obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
  obj.metadata.annotations["tandem.dev/decided-because"] = nil
end
return obj
