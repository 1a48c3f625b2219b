package main

import (
	_ "github.com/traefik/traefik/v3/pkg/provider/kubernetes/gateway"
	_ "github.com/traefik/traefik/v3/pkg/server"
	_ "github.com/traefik/traefik/v3/pkg/config/static"
	_ "github.com/traefik/traefik/v3/cmd/healthcheck"
)

func main() {
}
