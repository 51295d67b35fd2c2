local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/requestedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["tandem.dev/requested"] = obj.metadata.annotations["tandem.dev/requestedAt"]
obj.metadata.annotations["tandem.dev/requested-by"] = "argocd"
obj.metadata.annotations["tandem.dev/requested-because"] = nil
-- What was said of the try that is over; while a revision is on its way its words stay.
if (obj.status or {}).candidate == nil then
  obj.metadata.annotations["tandem.dev/abort"] = nil
  obj.metadata.annotations["tandem.dev/promote"] = nil
  obj.metadata.annotations["tandem.dev/approved"] = nil
end
return obj
