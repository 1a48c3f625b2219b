# One image for every action that needs no browser and no scanner.
#
# BUILDER may be any image with Go and CA roots. The test of this file puts one
# in its place that it makes without a network.
ARG BUILDER=golang:1.26.6-bookworm@sha256:116d58cbd88c1297624acc6e967a060012422bacf9930927e23fb719189c6f36

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
ENV CGO_ENABLED=0
RUN ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", "/out/", "./actions/..."]

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /
# Root, on purpose: the runner mounts the workspace and the files for outputs
# with its own user's permissions, and asks that container actions run as root.
USER 0:0
ENTRYPOINT ["/deploy"]
