// Package imagetest builds the actions' image from the Dockerfile and runs it as
// GitHub's runner runs a container action. It needs no network: a Docker daemon
// of its own is started, and the builder image is made of this machine's Go and
// of the modules that the build needs, served as a module proxy from a folder.
//
// Everything else is real: dockerd, the Dockerfile, go build inside the builder,
// the mounts, variables and signals of the runner.
package imagetest
