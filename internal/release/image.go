package release

import "strings"

// Repository returns an image reference without its tag and digest:
// "registry.example:5000/web" of "registry.example:5000/web:1@sha256:...".
func Repository(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// ByDigest returns the image as "repository@digest" where its pods run exactly
// one digest, else the image as it is.
func ByDigest(image string, digests []string) string {
	if len(digests) != 1 || image == "" {
		return image
	}
	return Repository(image) + "@" + digests[0]
}
