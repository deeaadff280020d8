package deploy

// volume returns the volume with the mirror, and where the agent sees it. Both are
// empty with a site.
func (o *Options) volume() (volume, mount object) {
	volume, mount = newObject().set("name", volumeName), newObject().set("name", volumeName)
	mount.set("mountPath", o.Mount)
	switch {
	case o.Claim != nil:
		// The volume itself is not attached read-only: the Job that fills it
		// may be on the same node, and not every driver can do both at once.
		volume.set("persistentVolumeClaim", labels("claimName", o.Claim.Name))
		mount.setUnless(o.Claim.SubPath == "", "subPath", o.Claim.SubPath, "the directory for the platform of the nodes")
	case o.Image != nil:
		volume.set("image", newObject().set("reference", o.Image.Reference).set("pullPolicy", "IfNotPresent"),
			"needs Kubernetes 1.35, where image volumes are on by default (1.36: stable), and a runtime that has them.",
			"1.33 and 1.34 have them behind the feature gate ImageVolume of the API server and the kubelet.")
		mount.setUnless(o.Image.Path == "", "subPath", o.Image.Path, "where the image has it")
	}
	mount.set("readOnly", true, "the agent changes nothing when everything is there")
	return volume, mount
}
