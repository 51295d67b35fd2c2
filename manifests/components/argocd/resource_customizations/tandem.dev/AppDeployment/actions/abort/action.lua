-- This revision is given up and set aside; the stable one has all the traffic.
if obj.status == nil or obj.status.candidate == nil then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/abort"] = tostring(obj.status.candidate.revision)
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
return obj
