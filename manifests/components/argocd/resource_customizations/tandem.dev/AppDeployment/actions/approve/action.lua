-- The step of the revision that waits: this word approves no other.
if obj.status == nil or obj.status.approval == nil or obj.status.approval.state ~= "Awaiting" then
  return obj
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["tandem.dev/approved"] = obj.status.approval.revision .. "/" .. obj.status.approval.step
obj.metadata.annotations["tandem.dev/decided-by"] = "argocd"
obj.metadata.annotations["tandem.dev/decided-because"] = nil
return obj
