-- This revision is given up and set aside: the candidate, or what serves and is watched still.
local os = require("os")
local given_up = (obj.status or {}).candidate
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if given_up == nil and condition.type == "RolledOut" and condition.reason == "Watching" then
    given_up = obj.status.stable
  end
end
if given_up == nil then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/abort"] = tostring(given_up.revision)
obj.metadata.annotations["tandem.dev/decided"] =
  "abort " .. obj.metadata.annotations["tandem.dev/abort"] .. " " .. os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
obj.metadata.annotations["tandem.dev/decided-because"] = nil
return obj
