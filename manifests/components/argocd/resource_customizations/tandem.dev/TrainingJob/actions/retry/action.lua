local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/requestedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/requested"] = obj.metadata.annotations["tandem.dev/requestedAt"]
obj.metadata.annotations["tandem.dev/requested-by"] = "argocd"
obj.metadata.annotations["tandem.dev/requested-because"] = nil
return obj
